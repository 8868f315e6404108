#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The gate of the binary interface: whoever was linked with the committed interface must go on with the one of the sources.
#   check.sh [INCLUDE [LIBRARY]]  compares the folder's pondsocket.h (include/) with pondsocket.abi and constants.txt, and the
#                                 exports of the library (target/release/libpondsocket.so) with both
#   check.sh --write              commits to the interface as it is now: for a release. A break needs another version
#                                 (before 1.0 another minor one) and another POND_ABI_VERSION.
# What is added is fine; what is gone or changed is not. Needs abidw and abidiff.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
write=''
if [ "${1:-}" = --write ]; then write=1; shift; fi
include=$(cd "${1:-$root/include}" && pwd)
library=${2:-$root/target/release/libpondsocket.so}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for program in abidw abidiff; do
    command -v $program >/dev/null 2>&1 || { echo "check.sh: $program is missing (Debian: abigail-tools)" >&2; exit 3; }
done
failed=0
wrong() { echo "ABI: $*" >&2; failed=1; }

version=$(awk '/#define POND_VERSION_MAJOR/ { a = $3 } /#define POND_VERSION_MINOR/ { b = $3 } END { print a ? a : "0." b }' \
    "$include/pondsocket.h")
awk -f "$here/stub.awk" "$include/pondsocket.h" >"$dir/stub.c"
printf 'POND_%s { global: pond_*; local: *; };\n' "$version" >"$dir/versions"
# The same flags and names each time, so that the description does not tell where it was made.
(cd "$dir" && ${CC:-cc} -g -O0 -w -shared -fPIC -I"$include" -ffile-prefix-map="$include"=include -ffile-prefix-map="$dir"=. \
    -Wl,--version-script=versions "-Wl,-soname,libpondsocket.so.$version" stub.c -o libpondsocket.so)
awk -f "$here/constants.awk" "$include/pondsocket.h" >"$dir/constants.c"
${CC:-cc} -I"$include" "$dir/constants.c" -o "$dir/constants"
"$dir/constants" >"$dir/constants.txt"

if [ -n "$write" ]; then
    (cd "$dir" && abidw --no-corpus-path --no-comp-dir-path --no-show-locs libpondsocket.so) >"$here/pondsocket.abi"
    cp "$dir/constants.txt" "$here/constants.txt"
    exit 0
fi

# Types and functions. abidiff's status is a set of bits: 4 = changes, 8 = incompatible ones for sure, 1 and 2 = it failed.
status=0
abidiff --no-show-locs "$here/pondsocket.abi" "$dir/libpondsocket.so" >"$dir/report" 2>&1 || status=$?
[ $((status & 3)) = 0 ] || { cat "$dir/report" >&2; wrong "abidiff failed"; }
if [ $((status & 12)) != 0 ]; then
    # Additions alone are compatible; anything else is looked at as a break.
    abidiff --no-show-locs --no-added-syms "$here/pondsocket.abi" "$dir/libpondsocket.so" >"$dir/breaks" 2>&1 || {
        cat "$dir/breaks" >&2
        wrong "functions or types are not what they were"
    }
fi

# Constants: their values are compiled into programs. Each old one must be there, unchanged.
sort "$here/constants.txt" >"$dir/old"
sort "$dir/constants.txt" >"$dir/new"
gone=$(comm -23 "$dir/old" "$dir/new")
[ -z "$gone" ] || wrong "constants gone or changed:
$gone"

# The library has what the header says, under the version that programs ask for, and nothing else.
names() { nm -D --defined-only --with-symbol-versions "$1" | awk '$2 == "T" { print $3 }' | sort; }
names "$dir/libpondsocket.so" >"$dir/promised"
names "$library" >"$dir/there"
cmp -s "$dir/promised" "$dir/there" || wrong "the library does not export what the header says:
$(diff "$dir/promised" "$dir/there" || true)"
[ "$failed" = 0 ] || exit 1
echo "ABI: $(wc -l <"$dir/promised") functions, $(wc -l <"$dir/new") constants, compatible with the committed interface"
