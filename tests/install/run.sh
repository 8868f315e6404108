#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Installs into empty folders, and builds and runs other people's programs with nothing but what was installed. Arguments
# select parts: layout consumers cmake second archive deb native-libs def uninstall abi cargo-c; all without.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server)
#   BUILD             where the libraries are (target/release)
set -eu
cd "$(dirname "$0")"
here=$PWD
root=$(cd ../.. && pwd)
BUILD=$(cd "${BUILD:-$root/target/release}" && pwd)
export BUILD
POND_TEST_SERVER=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
[ -x "$POND_TEST_SERVER" ] || { echo "run.sh: no program $POND_TEST_SERVER (make server, or give an absolute path)" >&2; exit 1; }
[ $# -gt 0 ] || set -- layout consumers cmake second archive deb native-libs def uninstall abi cargo-c
dir=$(mktemp -d)
pid=''
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
CC=${CC:-cc} CXX=${CXX:-c++}
passed=0 failed=0
ok() { echo "ok $1"; passed=$((passed + 1)); }
bad() { echo "FAILED $1"; failed=$((failed + 1)); }
# try NAME COMMAND...: it must succeed; what it prints is shown only if not.
try() {
    name=$1
    shift
    if "$@" >"$dir/out" 2>&1; then ok "$name"; else bad "$name"; cat "$dir/out"; fi
}
# What cannot be tested here: a failure where CI is set, loud elsewhere.
skip() {
    echo "SKIPPED $1"
    [ "${CI:-}" != true ] || failed=$((failed + 1))
}

"$POND_TEST_SERVER" --port 0 --quiet >"$dir/server" </dev/null 2>/dev/null &
pid=$!
tries=200
until grep -q '^listening ' "$dir/server"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "run.sh: the server did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^listening //p' "$dir/server")

# The programs that strangers paste: those of the READMEs.
mkdir "$dir/src"
sed -n '/^```c$/,/^```$/p' "$root/README.md" | grep -v '^```' >"$dir/src/hello.c"
sed -n '/^```cpp$/,/^```$/p' "$root/bindings/cpp/README.md" | grep -v '^```' >"$dir/src/hello.cpp"
cp "$here/cmake/CMakeLists.txt" "$dir/src"
# runs PROGRAM [LIBRARY FOLDER]: it prints the lines that the READMEs promise. The C program does not wait for its own message, and
# the server may answer before it broadcasts: then it is run again.
runs() {
    rounds=20
    while :; do
        LD_LIBRARY_PATH=${2:-} timeout 60 "$1" "$url" >"$dir/printed" 2>&1 </dev/null || { cat "$dir/printed"; return 1; }
        cat "$dir/printed"
        grep -q '^answer: *{"room":"42"}$' "$dir/printed" || return 1
        ! grep -q '^message: {.*"text":"hello"' "$dir/printed" || return 0
        rounds=$((rounds - 1))
        [ "$rounds" -gt 0 ] || return 1
    done
}
needs() { readelf -d "$1" | grep -q 'NEEDED.*\[libpondsocket.so'; }

install_into() { env PREFIX="$1" DESTDIR="$2" "$root/packaging/install.sh" install; }
try "install into a prefix" install_into "$dir/prefix" ""
try "install into a prefix below DESTDIR" install_into /opt/pond "$dir/dest"
lib=$dir/prefix/lib

# consumer NAME PKG_CONFIG_PATH LIBRARY FOLDER: C and C++ over pkg-config, linked shared and static.
consumer() {
    export PKG_CONFIG_PATH="$2"
    out=$dir/consumer
    rm -rf "$out"
    mkdir "$out"
    # shellcheck disable=SC2046 # words of flags
    {
        try "$1: compile C" $CC -std=c99 -Wall -Wextra -Wpedantic -Werror "$dir/src/hello.c" $(pkg-config --cflags --libs pondsocket) -o "$out/c"
        try "$1: run C" runs "$out/c" "$3"
        try "$1: compile C++" $CXX -std=c++17 -Wall -Wextra -Wpedantic -Werror "$dir/src/hello.cpp" \
            $(pkg-config --cflags --libs pondsocket) -o "$out/cpp"
        try "$1: run C++" runs "$out/cpp" "$3"
        # -static: glibc warns that name lookups still load its shared parts.
        try "$1: compile C with pkg-config --static" $CC -static "$dir/src/hello.c" $(pkg-config --static --cflags --libs pondsocket) \
            -Wl,--no-fatal-warnings -o "$out/static"
        try "$1: run the static program" runs "$out/static"
    }
    try "$1: shared means shared" needs "$out/c"
    if needs "$out/static"; then bad "$1: static means static"; else ok "$1: static means static"; fi
    unset PKG_CONFIG_PATH
}

layout() {
    series=$(cd "$root" && sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1 | awk -F. '{ print $1 == 0 ? "0." $2 : $1 }')
    try "the SONAME" sh -c "readelf -d '$lib/libpondsocket.so' | grep -q 'SONAME.*\\[libpondsocket.so.$series\\]'"
    try "the links" test "$(readlink "$lib/libpondsocket.so")" = "libpondsocket.so.$series" -a -f "$lib/libpondsocket.so.$series"
    try "each function has the version POND_$series, and nothing else is exported" sh -c "
        nm -D --defined-only --with-symbol-versions '$lib/libpondsocket.so' | awk '\$2 != \"A\"' >'$dir/symbols'
        test -s '$dir/symbols' && ! grep -v ' T pond_[a-z0-9_]*@@POND_$series\$' '$dir/symbols'"
    try "the size" "$root/tests/size.sh" "$lib/libpondsocket.so"
    try "both ways of installing give the same files" sh -c "cd '$dir/prefix' && find . | sort >'$dir/a' && cd '$dir/dest/opt/pond' \
        && find . | sort >'$dir/b' && cmp '$dir/a' '$dir/b' && diff -r '$dir/prefix' '$dir/dest/opt/pond'"
    try "no path of this machine in the files" sh -c "! grep -rlF -e '$dir' -e '$root' '$dir/prefix/include' '$lib/pkgconfig' '$lib/cmake'"
    try "a folder that cannot be is refused" sh -c "! env PREFIX=relative '$root/packaging/install.sh' install"
}

consumers() {
    consumer "in a prefix" "$lib/pkgconfig" "$lib"
    consumer "below DESTDIR" "$dir/dest/opt/pond/lib/pkgconfig" "$dir/dest/opt/pond/lib"
}

# cmake_consumer NAME PREFIX
cmake_consumer() {
    rm -rf "$dir/cmake"
    try "$1: cmake finds it" cmake -S "$dir/src" -B "$dir/cmake" -DCMAKE_PREFIX_PATH="$2" -DCMAKE_BUILD_TYPE=Release
    try "$1: cmake builds" cmake --build "$dir/cmake"
    for program in shared static cpp cpp_static; do try "$1: run $program" runs "$dir/cmake/$program"; done
    try "$1: shared means shared" needs "$dir/cmake/shared"
    if needs "$dir/cmake/static"; then bad "$1: static means static"; else ok "$1: static means static"; fi
}
cmake_() {
    command -v cmake >/dev/null 2>&1 || { skip "CMake projects: no cmake"; return; }
    cmake_consumer "in a prefix" "$dir/prefix"
    mkdir "$dir/other"
    sed 's/find_package(PondSocket 0.1.0/find_package(PondSocket 0.2.0/' "$dir/src/CMakeLists.txt" >"$dir/other/CMakeLists.txt"
    cp "$dir/src/hello.c" "$dir/src/hello.cpp" "$dir/other"
    try "another series is not found" sh -c "! cmake -S '$dir/other' -B '$dir/other/build' -DCMAKE_PREFIX_PATH='$dir/prefix'"
}

second() {
    ${RUSTC:-rustc} --edition 2024 --crate-type staticlib -C opt-level=3 -C lto=fat -C codegen-units=1 -o "$dir/libsecond.a" second/second.rs
    libs=$(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --static --libs-only-l pondsocket | sed 's/-lpondsocket//')
    # shellcheck disable=SC2086 # words of flags
    try "links beside another Rust library" $CC second/main.c -I"$dir/prefix/include" "$lib/libpondsocket.a" "$dir/libsecond.a" $libs -o "$dir/second"
    try "and both work" sh -c "timeout 60 '$dir/second' '$url' | grep '^second: 42, answer: {\"n\":1,'"
    # shellcheck disable=SC2086
    try "in the other order, too" $CC second/main.c -I"$dir/prefix/include" "$dir/libsecond.a" "$lib/libpondsocket.a" $libs -o "$dir/second"
    try "and both work again" sh -c "timeout 60 '$dir/second' '$url' | grep '^second: 42, answer: {\"n\":1,'"
    # Does this test see anything? With rustc's own names the two must clash.
    nm --defined-only --extern-only "$lib/libpondsocket.a" 2>/dev/null | awk '$3 ~ /^(DW.ref.)?pond_internal_/ {
        old = $3; sub(/pond_internal_eh/, "rust_eh", old); sub(/^pond_internal_/, "", old); print $3, old }' | sort -u >"$dir/back"
    cp "$lib/libpondsocket.a" "$dir/plain.a"
    objcopy --redefine-syms="$dir/back" "$dir/plain.a"
    # shellcheck disable=SC2086
    try "without packaging/unique-symbols it would not link" sh -c "! $CC second/main.c -I'$dir/prefix/include' '$dir/plain.a' '$dir/libsecond.a' \
        $libs -o '$dir/second' 2>'$dir/errors' && grep -q 'multiple definition' '$dir/errors'"
}

archive() {
    try "make the archive" env OUT="$dir/dist" "$root/packaging/dist.sh" archive
    sleep 1.1 # another second on the clock, which must not show
    try "make it again" env OUT="$dir/dist2" TZ=Asia/Tokyo "$root/packaging/dist.sh" archive
    try "byte for byte the same archive" sh -c "cmp '$dir'/dist/*.tar.gz '$dir'/dist2/*.tar.gz"
    mkdir "$dir/moved to"
    tar -xzf "$dir"/dist/*.tar.gz -C "$dir/moved to"
    mkdir "$dir/away"
    mv "$dir/moved to"/pondsocket-* "$dir/away/here"
    consumer "the archive, moved" "$dir/away/here/lib/pkgconfig" "$dir/away/here/lib"
    if command -v cmake >/dev/null 2>&1; then cmake_consumer "the archive, moved" "$dir/away/here"; else skip "the archive with cmake"; fi
}

deb() {
    command -v dpkg-deb >/dev/null 2>&1 || { skip "the .deb: no dpkg-deb"; return; }
    try "make the .deb" env OUT="$dir/dist" "$root/packaging/dist.sh" deb
    sleep 1.1
    try "make it again" env OUT="$dir/dist2" TZ=Asia/Tokyo "$root/packaging/dist.sh" deb
    try "byte for byte the same .deb" sh -c "cmp '$dir'/dist/*.deb '$dir'/dist2/*.deb"
    dpkg-deb --info "$dir"/dist/*.deb >"$dir/info"
    dpkg-deb --contents "$dir"/dist/*.deb >"$dir/contents"
    for line in 'Package: libpondsocket-dev' 'Depends: libc6 (>= 2' 'Version: [0-9]'; do try "the .deb says $line" grep "^ $line" "$dir/info"; done
    for file in lib/.*/libpondsocket.so.[0-9.]* lib/.*/libpondsocket.a include/pondsocket.h include/pondsocket.hpp \
        lib/.*/pkgconfig/pondsocket.pc lib/.*/cmake/PondSocket/PondSocketConfig.cmake share/doc/libpondsocket-dev/copyright; do
        try "the .deb has $file" grep "root/root .* ./usr/$file" "$dir/contents"
    done
    try "nothing belongs to anybody but root, nothing is writable by others" sh -c "! grep -v 'root/root' '$dir/contents' && ! grep '^-.......w' '$dir/contents'"
    dpkg-deb --extract "$dir"/dist/*.deb "$dir/deb"
    export PKG_CONFIG_SYSROOT_DIR="$dir/deb"
    consumer "the .deb" "$(dirname "$(find "$dir/deb" -name pondsocket.pc)")" "$(dirname "$(find "$dir/deb" -name libpondsocket.a)")"
    unset PKG_CONFIG_SYSROOT_DIR
    if command -v lintian >/dev/null 2>&1; then try "lintian" lintian --fail-on error "$dir"/dist/*.deb; fi
}

native_libs() {
    # Written by rustc when the library was built.
    try "packaging/native-libs.txt is what rustc says" test "$(sed -n "s/^$(uname -s) //p" "$root/packaging/native-libs.txt")" = "$(cat "$BUILD/native-libs")"
    for one in $(sed -n "s/^$(uname -s) //p" "$root/packaging/native-libs.txt"); do
        case $one in -lgcc_s | -lc) continue ;; esac
        try "pkg-config knows $one" grep "^Libs.private:.* $one\\( \\|\$\\)" "$lib/pkgconfig/pondsocket.pc"
        try "CMake knows $one" grep "INTERFACE_LINK_LIBRARIES.*[\";]${one#-l}[\";]" "$lib/cmake/PondSocket/PondSocketConfig.cmake"
    done
}

def() {
    try "packaging/pondsocket.def is fresh" sh -c "'$root/packaging/def.sh' | cmp - '$root/packaging/pondsocket.def'"
    sed -n 's/^ *\(pond_.*\)/\1/p' "$root/packaging/pondsocket.def" | sort >"$dir/def"
    nm -D --defined-only "$lib/libpondsocket.so" | sed -n 's/.* T \(pond_[a-z0-9_]*\).*/\1/p' | sort >"$dir/exports"
    try "it has what the library exports" cmp "$dir/def" "$dir/exports"
}

uninstall() {
    rm -rf "$dir/gone"
    install_into /usr "$dir/gone" >/dev/null
    try "uninstall" env PREFIX=/usr DESTDIR="$dir/gone" "$root/packaging/install.sh" uninstall
    try "nothing is left" sh -c "test -z \"\$(find '$dir/gone' ! -type d)\""
}

abi() {
    check=$root/packaging/abi/check.sh
    command -v abidiff >/dev/null 2>&1 || { skip "the ABI: no abidiff"; return; }
    try "the interface is what programs were linked with" "$check" "$root/include" "$lib/libpondsocket.so"
    # Each of these must be seen: NAME, and a sed script that makes it.
    while IFS='|' read -r name script; do
        rm -rf "$dir/include"
        mkdir "$dir/include"
        sed "$script" "$root/include/pondsocket.h" >"$dir/include/pondsocket.h"
        cmp -s "$root/include/pondsocket.h" "$dir/include/pondsocket.h" && { bad "the seeded break changes nothing: $name"; continue; }
        if "$check" "$dir/include" "$lib/libpondsocket.so" >"$dir/out" 2>&1; then bad "a break is seen: $name"; else
            if grep -q '^ABI: ' "$dir/out"; then ok "a break is seen: $name"; else bad "a break is seen: $name"; cat "$dir/out"; fi
        fi
    done <<'EOF'
a parameter's type|s/pond_shutdown(uint32_t timeout_ms)/pond_shutdown(uint64_t timeout_ms)/
a parameter more|s/pond_client_connect(pond_client \*client)/pond_client_connect(pond_client *client, int32_t how)/
a result's type|s/^POND_API uint32_t pond_abi_version/POND_API uint64_t pond_abi_version/
a function gone|/^POND_API int32_t pond_queue_interrupt/d
a function's name|s/pond_queue_interrupt(/pond_queue_wake_up(/
a field gone|/uint64_t bytes_out;/d
a field's type|s/int32_t presence_kind;/int64_t presence_kind;/
fields swapped|s/uint64_t frames_in; /uint64_t frames_xx; /;s/uint64_t frames_out;/uint64_t frames_in; /;s/uint64_t frames_xx; /uint64_t frames_out;/
a constant's value|s/POND_ERROR_CLOSED = -20/POND_ERROR_CLOSED = -24/
a constant gone|/POND_SKIPPED = 5/d
the ABI's version|s/define POND_ABI_VERSION 1/define POND_ABI_VERSION 2/
the SONAME|s/POND_VERSION_MINOR [0-9]*/POND_VERSION_MINOR 99/
EOF
    rm -rf "$dir/include"
    mkdir "$dir/include"
    sed 's/POND_DEFERRED = 6, /POND_DEFERRED = 6, POND_MORE = 7, /;s/^    uint64_t rtt_us; .*/&\n    uint64_t more;/' "$root/include/pondsocket.h" \
        >"$dir/include/pondsocket.h"
    "$check" "$dir/include" "$lib/libpondsocket.so" >"$dir/out" 2>&1 || true
    try "a constant more is no break" sh -c "! grep 'constants gone' '$dir/out'"
}

# Distributors' own tool installs the same.
cargo_c() {
    ${CARGO:-cargo} cinstall --version >/dev/null 2>&1 || { echo "not here: cargo-c (its part of this test is for distributors)"; return; }
    try "cargo cinstall" env CARGO_C=1 make -C "$root" install PREFIX="$dir/capi"
    try "the same files as without" sh -c "cd '$dir/prefix' && find . | sort >'$dir/a' && cd '$dir/capi' && find . | sort >'$dir/b' && diff '$dir/a' '$dir/b'"
    try "the same texts as without" diff -r -x 'libpondsocket.*' "$dir/prefix" "$dir/capi"
    try "the same exports" sh -c "nm -D --defined-only --with-symbol-versions '$dir/prefix/lib/libpondsocket.so' | cut -c18- | sort >'$dir/a'
        nm -D --defined-only --with-symbol-versions '$dir/capi/lib/libpondsocket.so' | cut -c18- | sort | diff '$dir/a' -"
    consumer "cargo-c" "$dir/capi/lib/pkgconfig" "$dir/capi/lib"
}

for part; do
    case $part in
    layout | consumers | second | archive | deb | def | uninstall | abi) "$part" ;;
    cmake) cmake_ ;;
    native-libs) native_libs ;;
    cargo-c) cargo_c ;;
    *) echo "run.sh: no part $part" >&2; exit 2 ;;
    esac
done
echo "install: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
