#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# setup.sh LIBDIR INCLUDE OUT: builds the bench against a library that is not installed.
set -eu
cd "$(dirname "$0")"
mkdir -p "$3/go-pkgconfig"
printf 'Name: pondsocket\nDescription: a build of it\nVersion: 0\nCflags: -I%s\nLibs: -L%s -lpondsocket -Wl,-rpath,%s\n' "$2" "$1" "$1" \
    >"$3/go-pkgconfig/pondsocket.pc"
PKG_CONFIG_PATH="$3/go-pkgconfig" go build -o "$3/go-bench" .
