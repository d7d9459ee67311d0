#!/bin/sh
# Makes ./configure out of configure.ac. Needed in a git checkout only; a release tarball has it.
set -eu
cd "$(dirname "$0")"

missing=
have() { command -v "$1" >/dev/null 2>&1; }
have autoconf || missing="$missing autoconf"
have automake || missing="$missing automake"
have libtoolize || missing="$missing libtool"
have pkg-config && [ -n "$(find /usr/share/aclocal /usr/local/share/aclocal -name pkg.m4 2>/dev/null)" ] ||
    missing="$missing pkg-config"
if [ -n "$missing" ]; then
    echo "autogen.sh: missing tools. On Debian:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

mkdir -p build-aux
exec autoreconf --install --force --warnings=all "$@"
