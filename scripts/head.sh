#!/bin/sh
# onion @VERSION@, an onion router for IP packets, with Deno @DENO@ for @ARCH@ inside.
#
# This head unpacks its payload once, into a cache that only its owner can write, and becomes the
# program there. scripts/build.ts replaces the words between at signs.

id=sha256-@SHA256@ # of the payload; names its directory in the cache

# Finds the tools below, and the program's `ip`, even if the caller's PATH is almost empty.
export PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"

fail() { # exit_code cause_and_remedy
  printf 'onion: %s\n' "$2" >&2
  exit "$1"
}

# Whether a path exists and is ours. POSIX lacks -O, but every sh of Linux has it, and it costs no process.
# shellcheck disable=SC3067
ours() { [ -O "$1" ]; }

# Guards against running what another user put there: checks two directories that only we may write.
guard() { # cache directory_in_it
  listed=$(ls -ldn "$1" "$2")
  read -r _ _ owner _ <<LISTED
$listed
LISTED
  # Compares everything of one moment, because in /tmp a directory of ours could be replaced.
  case ${uid:-$owner}:$listed in
    "$owner":d????-??-*"
"d????-??-*) ;;
    *) fail 1 "$1 must be a directory (and no link) that nobody else can write; remove it: rm -r '$1'" ;;
  esac
}

# Becomes the program if the cache holds it; otherwise returns.
start() { # cache argument...
  cache=$1 program=$1/$id
  shift
  ours "$program" && ours "$cache" || return 0
  guard "$cache" "$program"
  # A developer's setting, meant for other programs.
  unset NODE_OPTIONS DENO_V8_FLAGS DENO_LOG DENO_COVERAGE_DIR DENO_AUDIT_PERMISSIONS DENO_PERMISSION_BROKER_PATH
  # V8 keeps compiled code in DENO_DIR, which makes the next start faster.
  export DENO_DIR="$program/deno" DENO_NO_UPDATE_CHECK=1
  exec "$program/onion" @FLAGS@ "$program/main.js" "$@"
}

# Makes the cache if necessary, and says whether we may fill it.
usable() { # cache
  mkdir -p "${1%/*}" 2>/dev/null && mkdir "$1" 2>/dev/null
  ours "$1"
}

payload() { tail -n +@LINE@ <"$0"; }

unpack() { # cache
  guard "$1" "$1/."
  new=$1/.unpacking.$$
  trap 'rm -rf "$new"' EXIT
  trap 'exit 1' HUP INT TERM
  for left in "$1"/.unpacking.*; do # by an unpacker that was killed
    kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left" 2>/dev/null
  done
  mkdir "$new" 2>/dev/null || fail 4 "cannot write to $1; make room there or set ONION_CACHE_DIR"

  # Checks while unpacking: two processors halve the time. Nothing is used before both succeeded.
  said=$(
    payload | sha256sum &
    payload | tar -xzomf - -C "$new" 2>&1 && echo unpacked
  )
  case $said in
    *"${id#sha256-}"*unpacked* | *unpacked*"${id#sha256-}"*) ;;
    *"${id#sha256-}"*)
      said=$(printf '%s\n' "$said" | grep -m 1 ^tar)
      fail 4 "cannot unpack into $1 ($said); make @MEGABYTES@ MB of room there or set ONION_CACHE_DIR"
      ;;
    *) fail 1 "$0 is damaged: the SHA-256 of its payload is not ${id#sha256-}; get it anew" ;;
  esac
  said=$("$new/onion" --version 2>&1) ||
    fail 4 "cannot run what it unpacked into $1 (${said##*: }); it needs Linux on @ARCH@ with glibc, and a directory that is not mounted noexec (set ONION_CACHE_DIR)"

  # Writes to disk before renaming, so that a power cut leaves no directory that only looks complete.
  sync "$new"/* 2>/dev/null
  # The second of two simultaneous first starts fails here and uses the result of the first.
  mv -T "$new" "$1/$id" 2>/dev/null || rm -rf "$new"

  # Removes other versions, unless one runs or is under an hour old: it may be between unpacking and `exec`.
  running=$(readlink /proc/[0-9]*/exe 2>/dev/null)
  for old in "$1"/sha256-*; do
    case $running in *"$old/"*) continue ;; esac
    [ "$old" != "$1/$id" ] && [ "$(find "$old" -prune -mmin +60 2>/dev/null)" ] &&
      mv -T "$old" "$new" && rm -rf "$new"
  done
  trap - EXIT HUP INT TERM
}

# Uses the first of these that is ours or can be made. Only root can make the first. The second is in
# the user's home. In the third, nobody else can rename what is ours, because /tmp is sticky.
system=/var/cache/onion last='' uid=''
case ${XDG_CACHE_HOME-} in
  /*) users=$XDG_CACHE_HOME/onion ;;
  *) users=${HOME:+$HOME/.cache/onion} ;;
esac
case ${ONION_CACHE_DIR-} in
  /*) system=$ONION_CACHE_DIR/onion users='' ;;
  ?*) fail 2 "ONION_CACHE_DIR is $ONION_CACHE_DIR; give it an absolute path" ;;
esac

start "$system" "$@"
start "$users" "$@"

# The first start of this version, or a user without a home.
uid=$(id -u)
[ "${ONION_CACHE_DIR-}" ] || last=${TMPDIR:-/tmp}/onion-$uid
start "$last" "$@"

for tool in gzip sha256sum tar; do
  command -v $tool >/dev/null || fail 4 "cannot unpack itself without $tool; install it"
done
mask=$(umask)
umask 077
for cache in "$system" "$users" "$last"; do
  if [ "$cache" ] && usable "$cache"; then
    unpack "$cache"
    umask "$mask"
    start "$cache" "$@"
  fi
done
fail 4 "found no directory to unpack itself into; set ONION_CACHE_DIR to one that is yours"
# The payload follows.
