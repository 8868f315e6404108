#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Tests the C++ binding against two real servers, the Rust and the Python one; an argument selects tests by name (*part*).
#   POND_TEST_SERVER  the Rust server's program (target/release/pond-test-server of the checkout)
#   LIBDIR            where libpondsocket is (target/release)
#   SERVERS           which servers (rust python)
#   VARIANTS          which builds (plain sanitized): g++, and clang++ with the address, leak and undefined behaviour sanitizers
#   CXX               one compiler for both instead
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
POND_TEST_SERVER=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
[ -x "$POND_TEST_SERVER" ] || { echo "run.sh: no program $POND_TEST_SERVER (make server, or give an absolute path)" >&2; exit 1; }
SERVERS=${SERVERS:-rust python}
VARIANTS=${VARIANTS:-plain sanitized}
LIBDIR=${LIBDIR:-$root/target/release}
part=${1:-}
mkdir -p build
dir=$(mktemp -d)
pids=''
cleanup() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
passed=0 failed=0
note() {
    if [ "$2" = 0 ]; then echo "ok $1"; passed=$((passed + 1)); else echo "FAILED $1"; failed=$((failed + 1)); fi
}

# start NAME COMMAND...: its address in $dir/NAME.url. Setting up the Python server may take a while the first time.
start() {
    name=$1
    shift
    "$@" >"$dir/$name" 2>"$dir/$name.log" </dev/null &
    pids="$pids $!"
    tries=1200
    until grep -q '^listening ' "$dir/$name"; do
        tries=$((tries - 1))
        kill -0 "$!" 2>/dev/null && [ "$tries" -gt 0 ] || { echo "run.sh: the $name server did not start:" >&2; cat "$dir/$name.log" >&2; exit 1; }
        sleep 0.1
    done
    sed -n 's/^listening //p' "$dir/$name" >"$dir/$name.url"
}
for server in $SERVERS; do
    case $server in
    rust) start rust "$POND_TEST_SERVER" --port 0 --quiet ;;
    python) start python "$root/tests/interop/python/run.sh" --port 0 ;;
    *) echo "run.sh: no server $server" >&2; exit 2 ;;
    esac
done

tests() {
    for server in $SERVERS; do
        status=0
        POND_TEST_URL=$(cat "$dir/$server.url") POND_TEST_DIALECT=$server timeout 300 "$1" ${part:+"-tc=*$part*"} >"$dir/out" 2>&1 || status=$?
        cat "$dir/out"
        ! grep -q 'test cases: *0 ' "$dir/out" || status=1
        note "$2, $server server" "$status"
    done
}
sanitize='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
for variant in $VARIANTS; do
    case $variant in
    plain)
        make -s LIBDIR="$LIBDIR" CXX="${CXX:-g++}" BUILD=build/plain tests all
        tests build/plain/pond-cpp-tests "tests by ${CXX:-g++}" ;;
    sanitized)
        make -s LIBDIR="$LIBDIR" CXX="${CXX:-clang++}" CXXFLAGS="-O1 -g $sanitize" BUILD=build/sanitized tests
        # Proof that the sanitizers are in.
        nm build/sanitized/pond-cpp-tests | grep -q '__asan_init'
        export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
        tests build/sanitized/pond-cpp-tests "tests by ${CXX:-clang++} with sanitizers" ;;
    *) echo "run.sh: no variant $variant" >&2; exit 2 ;;
    esac
done

# Each header alone, by both compilers, with and without the glue for JSON.
if [ -z "$part" ]; then
    printf '#include <pondsocket.hpp>\n#include <pondsocket.hpp>\nint main() { return pond::compatible() ? 0 : 1; }\n' >"$dir/alone.cpp"
    for compiler in g++ clang++; do
        for standard in 17 20; do
            for glue in '' -DPOND_NO_NLOHMANN_JSON; do
                status=0
                "$compiler" -std=c++$standard -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror $glue -Iinclude \
                    -I"$root/include" -fsyntax-only "$dir/alone.cpp" || status=$?
                note "the header alone, $compiler, C++$standard $glue" "$status"
            done
        done
    done
    status=0
    ./examples.sh "$(cat "$dir/${SERVERS%% *}.url")" "${EXAMPLES:-build/plain}" "$LIBDIR" || status=$?
    note "examples" "$status"
fi
echo "cpp: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
