#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The examples as tests: each must do what it shows, against the real server. An argument selects one.
#   POND_TEST_SERVER  the server's program
#   VALGRIND=1        under valgrind: a leak or an error fails
set -u
cd "$(dirname "$0")/../examples-c" || exit 1
server=${POND_TEST_SERVER:-../target/release/pond-test-server}
only=${1:-}
dir=$(mktemp -d)
pid=''
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$server" --port 0 --quiet >"$dir/server" </dev/null &
pid=$!
tries=100
until grep -q "^listening " "$dir/server" 2>/dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "the server did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^listening //p' "$dir/server")

check=''
if [ "${VALGRIND:-}" = 1 ]; then
    check='valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect --error-exitcode=99'
fi
passed=0 failed=0 until=''
# heard COMMAND...: runs it up to 20 times, until it has printed a message. These programs leave as soon as they have their answer, and the
# server may answer before it broadcasts.
heard() {
    rounds=20
    while :; do
        "$@" >"$dir/out" 2>&1 </dev/null || return 1
        ! grep -q '^message: ' "$dir/out" || return 0
        rounds=$((rounds - 1))
        [ "$rounds" -gt 0 ] || return 0
    done
}
# expect PROGRAM REGEX...: it ends with 0 and prints a line like each.
expect() {
    name=$1
    shift
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    # shellcheck disable=SC2086 # a command and its options
    if ! $until timeout 120 $check "build/$name" "$url" secret >"$dir/out" 2>&1 </dev/null; then
        echo "FAILED $name: status not 0"; cat "$dir/out"
        failed=$((failed + 1))
        return 0
    fi
    for line in "$@"; do
        grep -q -- "$line" "$dir/out" || { echo "FAILED $name: no line like $line"; cat "$dir/out"; failed=$((failed + 1)); return 0; }
    done
    echo "ok $name"
    passed=$((passed + 1))
}
until=heard
expect quickstart '^joined: .*"id":"anna"' '^answer:  pong {"n":1,"room":"42"}$' '^message: {"from":"anna","text":"hello"}$'
until=''
expect pull '^endpoint welcome ' 'CONNECTING -> CONNECTED$' 'JOINING -> JOINED$' '^reply    POND_OK pong ' '^message  message ' \
    'JOINED -> CLOSED$' 'CONNECTED -> DISCONNECTED$'
expect request '^quick     pong ' '^quicker   echo ' '^unknown   POND_ERROR_SERVER: NOT_FOUND' '^slow      slow ' \
    '^silent    POND_ERROR_TIMEOUT' '^cancelled POND_ERROR_CANCELLED' '^call      pong '
# The program of the README, as pasted.
readme() {
    [ -z "$only" ] || [ "$only" = readme ] || return 0
    sed -n '/^```c$/,/^```$/p' ../README.md | grep -v '^```' >"$dir/hello.c"
    if ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -I../include "$dir/hello.c" -o "$dir/hello" -L../target/release -lpondsocket \
        "-Wl,-rpath,$(cd ../target/release && pwd)" && heard timeout 60 "$dir/hello" "$url" \
        && grep -q '^answer: {"room":"42"}$' "$dir/out" && grep -q '^message: .*"text":"hello"' "$dir/out"; then
        echo "ok readme"
        passed=$((passed + 1))
    else
        echo "FAILED readme"; cat "$dir/out"
        failed=$((failed + 1))
    fi
}
readme
if [ -z "$only" ]; then
    if CHAT=build/chat POND_TEST_SERVER=$server ./demo.sh >"$dir/out" 2>&1; then
        echo "ok demo"; passed=$((passed + 1))
    else
        echo "FAILED demo"; cat "$dir/out"; failed=$((failed + 1))
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
