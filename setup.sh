#!/bin/sh
# Sets onion up: fetches what is missing, and builds. Needs no root (but for ci-tools), and may be run again any time.
#
#   ./setup.sh           fetch Deno if it is missing, build ./onion
#   ./setup.sh test      the same, then run every test that this machine can run
#   ./setup.sh check     fetch Deno, then the gate without the tests: format, lint, types, docs
#   ./setup.sh ok        the whole gate
#   ./setup.sh deno      print the path of the Deno that is used
#   ./setup.sh ci-tools  install what the tests use, as root on Debian
set -eu
cd "$(dirname "$0")"
read -r wanted <.deno-version

fail() { # exit_code cause_and_remedy
  printf 'setup: %s\n' "$2" >&2
  exit "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

# Says whether a path is a Deno of the version that this project is pinned to.
is_wanted() { # path
  [ -x "$1" ] && [ "$("$1" --version 2>/dev/null | cut -d ' ' -f 2 | head -n 1)" = "$wanted" ]
}

# Prints the path of the Deno to use, after fetching it if need be.
find_deno() {
  for deno in "$(command -v deno || :)" "$PWD/.deno/deno"; do
    if is_wanted "$deno"; then
      echo "$deno"
      return
    fi
  done
  fetch_deno >&2
  echo "$PWD/.deno/deno"
}

fetch_deno() {
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) package=linux-x64-glibc target=x86_64-unknown-linux-gnu ;;
    Linux-aarch64) package=linux-arm64-glibc target=aarch64-unknown-linux-gnu ;;
    *) fail 4 "there is no Deno for $(uname -s) on $(uname -m); onion needs Linux on x86_64 or aarch64" ;;
  esac
  mkdir -p .deno
  for left in .deno/fetch.*; do # by a set-up that was killed
    kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left"
  done
  scratch=.deno/fetch.$$
  mkdir "$scratch"
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM
  if has npm && from_npm; then :; elif has unzip && from_archive; then :; else
    fail 4 "cannot fetch Deno $wanted; install npm, or curl and unzip, or put Deno $wanted on PATH"
  fi
  chmod 755 "$scratch/deno"
  is_wanted "$scratch/deno" || fail 4 "the Deno that was fetched does not run here; onion needs Linux with glibc"
  # Renamed when it is whole, so that an interrupted set-up leaves nothing that looks like a Deno.
  mv -f "$scratch/deno" .deno/deno
}

# Takes the binary where the npm package `deno` takes it from, without that package's install script.
from_npm() {
  echo "setup: fetching Deno $wanted with npm"
  npm install --prefix "$scratch" --ignore-scripts --no-save --no-audit --no-fund --loglevel error \
    "@deno/$package@$wanted" && mv "$scratch/node_modules/@deno/$package/deno" "$scratch/deno"
}

# Takes the archive that Deno's own installer takes.
from_archive() {
  archive=https://dl.deno.land/release/v$wanted/deno-$target.zip
  echo "setup: fetching $archive"
  if has curl; then
    curl --fail --silent --show-error --location --connect-timeout 20 --output "$scratch/deno.zip" "$archive"
  elif has wget; then
    wget --quiet --timeout 20 --tries 2 --output-document "$scratch/deno.zip" "$archive"
  else
    return 1
  fi && unzip -q "$scratch/deno.zip" -d "$scratch"
}

# What the tests look for; without a tool, the tests that want it are ignored. A user's machine is left as it is.
ci_tools() {
  if ! has apt-get || [ "$(id -u)" != 0 ]; then
    fail 4 "ci-tools needs root on Debian; install what setup.sh lists by other means"
  fi
  set -- ca-certificates curl debootstrap dnsutils fping gcc iproute2 iptables iputils-ping jq libc6-dev mtr-tiny \
    net-tools nftables procps shellcheck strace tcpdump traceroute unzip
  has npm || is_wanted "$(command -v deno || :)" || is_wanted .deno/deno || set -- "$@" npm
  missing=
  for tool in "$@"; do
    dpkg-query --show --showformat '${db:Status-Status}' "$tool" 2>/dev/null | grep -qx installed ||
      missing="$missing $tool"
  done
  [ -n "$missing" ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # shellcheck disable=SC2086 # a list of words
  apt-get -qq install --yes --no-install-recommends $missing >/dev/null
}

case ${1-} in
  '' | test | check | ok)
    deno=$(find_deno)
    case ${1-} in
      '') "$deno" task --quiet build ;;
      *) "$deno" task "$1" ;;
    esac
    ;;
  deno) find_deno ;;
  ci-tools) ci_tools ;;
  *) fail 2 "there is no '$1'; use one of: test, check, ok, deno, ci-tools, or nothing" ;;
esac
