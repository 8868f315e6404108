#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# setup.sh LIBDIR INCLUDE OUT: builds the bench against a library that is not installed.
set -eu
cd "$(dirname "$0")"
mkdir -p "$3/go-pkgconfig"
printf 'Name: pondsocket\nDescription: a build of it\nVersion: 0\nCflags: -I%s\nLibs: -L%s -lpondsocket -Wl,-rpath,%s\n' "$2" "$1" "$1" \
    >"$3/go-pkgconfig/pondsocket.pc"
# Go's build cache does not look at pkg-config's answer, but at these: without them it may link an earlier library.
export CGO_CFLAGS="-O2 -g -I$2" CGO_LDFLAGS="-O2 -g -L$1 -Wl,-rpath,$1"
PKG_CONFIG_PATH="$3/go-pkgconfig" go build -o "$3/go-bench" .
