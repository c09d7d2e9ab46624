#!/bin/sh
# Sets up onion: fetches what is missing, and builds. Needs no root except for ci-tools. Can be run again at any time.
#
#   ./setup.sh           fetch Deno if it is missing, build ./onion
#   ./setup.sh test      the same, then run every test that this machine can run
#   ./setup.sh check     fetch Deno, then the gate without the tests: format, lint, types, docs
#   ./setup.sh ok        the whole gate
#   ./setup.sh deno      print the path of the Deno in use
#   ./setup.sh ci-tools  install the programs that the tests use, as root on Debian
set -eu
cd "$(dirname "$0")"
read -r wanted <.deno-version

fail() { # exit_code cause_and_remedy
  printf 'setup: %s\n' "$2" >&2
  exit "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

# Succeeds if a path is a Deno of the pinned version.
is_wanted() { # path
  [ -x "$1" ] && [ "$("$1" --version 2>/dev/null | cut -d ' ' -f 2 | head -n 1)" = "$wanted" ]
}

# Prints the path of the Deno to use, and fetches it if necessary.
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
    *) fail 4 "Deno does not exist for $(uname -s) on $(uname -m); onion needs Linux on x86_64 or aarch64" ;;
  esac
  mkdir -p .deno
  for left in .deno/fetch.*; do # from a killed set-up
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
  is_wanted "$scratch/deno" || fail 4 "the fetched Deno does not run on this machine; onion needs Linux with glibc"
  # Renames a complete file, so that an interrupted set-up leaves nothing that looks like Deno.
  mv -f "$scratch/deno" .deno/deno
}

# Fetches the binary from the package that the npm package `deno` uses, without its install script.
from_npm() {
  echo "setup: fetching Deno $wanted with npm"
  npm install --prefix "$scratch" --ignore-scripts --no-save --no-audit --no-fund --loglevel error \
    "@deno/$package@$wanted" && mv "$scratch/node_modules/@deno/$package/deno" "$scratch/deno"
}

# Fetches the archive that Deno's own installer uses.
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

# Installs the programs that tests look for. Tests without their program are ignored, so users need none of this.
ci_tools() {
  if ! has apt-get || [ "$(id -u)" != 0 ]; then
    fail 4 "ci-tools needs root on Debian; elsewhere install the programs that setup.sh lists"
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
  *) fail 2 "unknown command '$1'; use test, check, ok, deno, ci-tools, or none" ;;
esac
