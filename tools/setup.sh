#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Checks what the tests need and installs what is missing where it can: Debian packages as root, Python's cffi in build/venv.
#   setup.sh build    only what building the library and the demo needs
#   setup.sh test     what the tests need
#   setup.sh interop  what the servers and clients of other languages need, besides
#   setup.sh install  what the test of the installation needs
#   setup.sh bindings what the bindings and their tests need
#   setup.sh bindings-go  what the Go binding and its tests need, by itself
#   setup.sh bindings-python  what the Python binding and its tests need, by itself
#   setup.sh bench    what the programs need that are measured beside ours
set -eu
cd "$(dirname "$0")/.."
what=${1:-test}

has() { command -v "$1" >/dev/null 2>&1; }
# Debian's clang comes without the sanitizers' runtimes.
sanitizes() {
    program=$(mktemp) && printf 'int main(void) { return 0; }\n' | "$1" -fsanitize=address -x c - -o "$program" 2>/dev/null
    status=$?
    rm -f "$program"
    return "$status"
}
headers() { printf '#include <%s>\n' "$1" | ${CC:-cc} -E -x c - >/dev/null 2>&1; }

has cargo || { echo "setup: Rust is missing: install it with rustup (1.88 or newer; the library alone builds with 1.85)" >&2; exit 1; }

missing=''
need() { missing="$missing $1"; }
{ has "${CC:-cc}" && has make; } || need build-essential
if [ "$what" = test ]; then
    has clang || need clang
    has luajit || need luajit
    has valgrind || need valgrind
    has nm || need binutils
    has python3 || need python3
    has pkg-config || need pkg-config
    headers setjmp.h && printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <cmocka.h>\n' \
        | ${CC:-cc} -E -x c - >/dev/null 2>&1 || need libcmocka-dev
    for pair in libuv:libuv1-dev glib-2.0:libglib2.0-dev sdl2:libsdl2-dev; do
        pkg-config --exists "${pair%%:*}" 2>/dev/null || need "${pair##*:}"
    done
fi

if [ "$what" = bindings-go ]; then
    # Debian's package is too old.
    has go || { echo "setup: Go is missing: install 1.24 or newer" >&2; exit 1; }
    has pkg-config || need pkg-config
    # For the second server of its tests.
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
fi

if [ "$what" = bindings-python ]; then
    has python3 || need python3
    has readelf && has strip || need binutils
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
    python3 -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null ||
        need python3-dev
fi

if [ "$what" = interop ]; then
    has python3 || need python3
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
    has node || need nodejs
    has npm || need npm
    has go || need golang-go
    has redis-server || need redis-server
fi

if [ "$what" = install ]; then
    has g++ || need g++
    has cmake || need cmake
    has pkg-config || need pkg-config
    has objcopy || need binutils
    { has abidiff && has abidw; } || need abigail-tools
    # What makes a .deb is at home on Debian only.
    has dpkg-deb || ! has apt-get || need dpkg
fi

if [ "$what" = bindings ]; then
    # C++; the Python server is the second one that bindings are tested against.
    has g++ || need g++
    has clang++ || need clang
    sanitizes clang || need libclang-rt-dev
    has pkg-config || need pkg-config
    has nm || need binutils
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
    for pair in doctest/doctest.h:doctest-dev nlohmann/json.hpp:nlohmann-json3-dev; do
        printf '#include <%s>\n' "${pair%%:*}" | ${CXX:-c++} -std=c++17 -E -x c++ - >/dev/null 2>&1 || need "${pair##*:}"
    done
fi

if [ "$what" = bench ]; then
    has python3 || need python3
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
    has node || need nodejs
    has npm || need npm
    has valgrind || need valgrind
    headers libwebsockets.h || need libwebsockets-dev
    headers cjson/cJSON.h || need libcjson-dev
fi

if [ -n "$missing" ]; then
    if has apt-get && [ "$(id -u)" = 0 ]; then
        echo "setup: installing$missing" >&2
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086 # a list of names
        { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >build-setup.log 2>&1 || {
            cat build-setup.log >&2
            rm -f build-setup.log
            exit 1
        }
        rm -f build-setup.log
    else
        echo "setup: missing (Debian's names):$missing" >&2
        exit 1
    fi
fi

if [ "$what" = test ] && ! PATH="$PWD/build/venv/bin:$PATH" python3 -c 'import cffi' 2>/dev/null; then
    echo "setup: installing cffi into build/venv" >&2
    python3 -m venv build/venv || {
        [ "$(id -u)" = 0 ] && has apt-get && apt-get install -q -y python3-venv >/dev/null && python3 -m venv build/venv
    }
    build/venv/bin/pip install -q cffi setuptools
fi
