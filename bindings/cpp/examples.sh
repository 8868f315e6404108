#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# examples.sh URL BUILD LIBDIR: the examples, and the program of the README as pasted, do what they show. run.sh calls it.
set -eu
cd "$(dirname "$0")"
url=$1 build=$2 libdir=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# expect NAME COMMAND REGEX...: it ends with 0 within a minute and prints a line like each.
expect() {
    name=$1 command=$2
    shift 2
    timeout 60 $command "$url" >"$dir/out" 2>&1 </dev/null || { echo "$name: status not 0"; cat "$dir/out"; exit 1; }
    for line in "$@"; do
        grep -q -- "$line" "$dir/out" || { echo "$name: no line like $line"; cat "$dir/out"; exit 1; }
    done
}
expect quickstart "$build/quickstart" '^message: .*"hello"' '^answer: pong '
expect request "$build/request" '^future    pong ' '^handler   echo ' '^unknown   POND_ERROR_SERVER' '^silent    POND_ERROR_TIMEOUT' \
    '^cancelled POND_ERROR_CANCELLED' '^call      pong '

sed -n '/^```cpp$/,/^```$/p' README.md | grep -v '^```' >"$dir/hello.cpp"
${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -I../../include "$dir/hello.cpp" -o "$dir/hello" \
    -L"$libdir" -lpondsocket "-Wl,-rpath,$libdir"
expect README "$dir/hello" '^message: {.*"hello"' '^answer:  {'

# Two people in one room, each a process with its terminal a pipe: what one says the other reads.
mkfifo "$dir/in"
"$build/chat" bert cpp-chat "$url" <"$dir/in" >"$dir/bert" 2>&1 &
bert=$!
exec 3>"$dir/in"
wait_for() {
    tries=200
    until grep -q -- "$1" "$2"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "chat: no line like $1"; cat "$2"; kill "$bert" 2>/dev/null || true; exit 1; }
        sleep 0.1
    done
}
wait_for '^\* joined' "$dir/bert"
printf 'good day\n' | timeout 60 "$build/chat" anna cpp-chat "$url" >"$dir/anna" 2>&1 || { cat "$dir/anna"; exit 1; }
wait_for '^anna: good day$' "$dir/bert"
wait_for '^\* anna came' "$dir/bert"
wait_for '^\* anna left' "$dir/bert"
# Asked only now: before the first presence frame nobody is known to be there.
echo /who >&3
wait_for '^\* here: .*bert' "$dir/bert"
exec 3>&-
wait "$bert" || { echo "chat: status not 0"; cat "$dir/bert"; exit 1; }
echo "examples: quickstart, request, chat and the program of the README do what they show"
