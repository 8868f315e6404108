#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Installs what was built, or takes it away again: install.sh install|uninstall. `make install` calls it.
#   PREFIX      where programs will find it (/usr/local)
#   DESTDIR     put before everything that is written, for packagers
#   LIBDIR      the libraries' folder (PREFIX/lib); it must lie in PREFIX
#   INCLUDEDIR  the headers' folder (PREFIX/include); likewise
#   BUILD       where the libraries are (target/release)
#   PC_ABSOLUTE 1: pondsocket.pc names PREFIX as it is, for PREFIXes that the compiler knows by itself (/usr)
set -eu
cd "$(dirname "$0")/.."
action=${1:-install}
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
LIBDIR=${LIBDIR:-$PREFIX/lib}
INCLUDEDIR=${INCLUDEDIR:-$PREFIX/include}
BUILD=${BUILD:-${CARGO_TARGET_DIR:-target}/release}
fail() { echo "install.sh: $*" >&2; exit 1; }

case $PREFIX in /*) ;; *) fail "PREFIX must be an absolute path, not $PREFIX" ;; esac
case $LIBDIR in "$PREFIX"/*) lib=${LIBDIR#"$PREFIX"/} ;; *) fail "LIBDIR $LIBDIR is not in PREFIX $PREFIX" ;; esac
case $INCLUDEDIR in "$PREFIX"/*) include=${INCLUDEDIR#"$PREFIX"/} ;; *) fail "INCLUDEDIR $INCLUDEDIR is not in PREFIX $PREFIX" ;; esac

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}
rest=${version#*.}
minor=${rest%%.*}
# Before 1.0 a minor version may break the interface: it is part of the library's name. (As packaging/versioned-cc.)
series=$major
[ "$major" != 0 ] || series=0.$minor
system=$(uname -s)
case $system in
Darwin)
    built=libpondsocket.dylib
    names="libpondsocket.$version.dylib libpondsocket.$series.dylib libpondsocket.dylib" ;;
*)
    built=libpondsocket.so
    names="libpondsocket.so.$version libpondsocket.so.$series libpondsocket.so" ;;
esac
# shellcheck disable=SC2086 # a list of names
set -- $names
shared=$1 soname=$2

# Every file that is installed: what uninstall takes away.
files="$(for name in $names; do echo "$LIBDIR/$name"; done)
$LIBDIR/libpondsocket.a
$LIBDIR/pkgconfig/pondsocket.pc
$LIBDIR/cmake/PondSocket/PondSocketConfig.cmake
$LIBDIR/cmake/PondSocket/PondSocketConfigVersion.cmake
$INCLUDEDIR/pondsocket.h
$INCLUDEDIR/pondsocket.hpp"

if [ "$action" = uninstall ]; then
    echo "$files" | while IFS= read -r file; do rm -f "$DESTDIR$file"; done
    rmdir "$DESTDIR$LIBDIR/cmake/PondSocket" 2>/dev/null || true
    exit 0
fi
[ "$action" = install ] || fail "install or uninstall, not $action"

libs=$(sed -n "s/^$system //p" packaging/native-libs.txt)
[ -n "$libs" ] || fail "packaging/native-libs.txt has no line for $system: ask rustc --print native-static-libs"
# The compiler driver brings libc and the unwinder by itself, and with -static other ones.
private=''
cmake=''
for one in $libs; do
    case $one in -lgcc_s | -lc) continue ;; esac
    private="$private $one"
    cmake="$cmake;${one#-l}"
done
private=${private# }
cmake=${cmake#;}

# How to come from the folder $1, which lies in PREFIX, up to PREFIX.
up() { echo "$1" | sed 's,[^/][^/]*,..,g'; }
if [ "${PC_ABSOLUTE:-}" = 1 ]; then pc_prefix=$PREFIX; else pc_prefix="\${pcfiledir}/$(up "$lib/pkgconfig")"; fi
case $major in 0) cmake_series="^0[.]$minor[.]" ;; *) cmake_series="^$major[.]" ;; esac
pointer_bytes=$(printf '__SIZEOF_POINTER__\n' | ${CC:-cc} -E -P -x c - | tail -n 1)

fill() {
    sed -e "s|@PC_PREFIX@|$pc_prefix|" -e "s|@PC_LIBDIR@|\${prefix}/$lib|" -e "s|@INCLUDE@|$include|" -e "s|@LIB@|$lib|" \
        -e "s|@VERSION@|$version|" -e "s|@PRIVATE_LIBS@|$private|" -e "s|@CMAKE_LIBS@|$cmake|" -e "s|@SHARED@|$shared|" \
        -e "s|@SONAME@|$soname|" -e "s|@CMAKE_SERIES@|$cmake_series|" -e "s|@UP@|$(up "$lib/cmake/PondSocket")|" \
        -e "s|@POINTER_BYTES@|$pointer_bytes|" "$1" >"$2"
    chmod 644 "$2"
}

# put MODE FROM TO: a new file takes the place of the old one, which running programs may have mapped.
put() {
    cp "$2" "$3.new"
    chmod "$1" "$3.new"
    mv -f "$3.new" "$3"
}

to=$DESTDIR$LIBDIR
mkdir -p "$to/pkgconfig" "$to/cmake/PondSocket" "$DESTDIR$INCLUDEDIR"
put 644 "$BUILD/$built" "$to/$shared"
[ "$system" != Darwin ] || install_name_tool -id "$LIBDIR/$soname" "$to/$shared"
ln -sf "$shared" "$to/$soname"
ln -sf "$soname" "$to/$3"
put 644 "$BUILD/libpondsocket.a" "$to/libpondsocket.a"
put 644 include/pondsocket.h "$DESTDIR$INCLUDEDIR/pondsocket.h"
[ ! -e bindings/cpp/include/pondsocket.hpp ] || put 644 bindings/cpp/include/pondsocket.hpp "$DESTDIR$INCLUDEDIR/pondsocket.hpp"
fill packaging/pondsocket.pc.in "$to/pkgconfig/pondsocket.pc"
fill packaging/cmake/PondSocketConfig.cmake.in "$to/cmake/PondSocket/PondSocketConfig.cmake"
fill packaging/cmake/PondSocketConfigVersion.cmake.in "$to/cmake/PondSocket/PondSocketConfigVersion.cmake"

# Programs find the library through the loader's cache; only root may, and only a living system needs it renewed.
if [ -z "$DESTDIR" ] && [ "$system" = Linux ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null 2>&1; then
    case $LIBDIR in /lib/* | /usr/lib/* | /usr/lib | /usr/local/lib | /usr/local/lib/*) ldconfig ;; esac
fi
echo "installed pondsocket $version in $DESTDIR$PREFIX"
