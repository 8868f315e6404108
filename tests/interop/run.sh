#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs every scenario against every server, and the official clients beside ours; writes docs/interop.md.
#   ROUNDS   how often (3)
#   SERVERS  which (rust python go js-legacy js-replay)
#   CLIENTS  which official clients (python javascript rust); empty = none
#   JOBS     how many scenarios at a time (4)
#   LIBDIR   where libpondsocket is (target/release)
# An argument selects scenarios by a part of their id; then docs/interop.md stays as it is.
# A server or client that cannot be set up is a failure with CI=true, elsewhere it is skipped, loudly.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
ROUNDS=${ROUNDS:-3}
SERVERS=${SERVERS:-rust python go js-legacy js-replay}
CLIENTS=${CLIENTS-python javascript rust}
JOBS=${JOBS:-4}
LIBDIR=${LIBDIR:-${CARGO_TARGET_DIR:-$root/target}/release}
BUILD=$root/build/interop
results=$BUILD/results.jsonl
part=${1:-}

[ -e "$LIBDIR/libpondsocket.so" ] || [ -e "$LIBDIR/libpondsocket.dylib" ] || {
    echo "run.sh: no libpondsocket in $LIBDIR: build it first, with make lib" >&2
    exit 1
}
mkdir -p "$BUILD"
make -s -C runner LIBDIR="$LIBDIR" BUILD="$BUILD" "$BUILD/runner"
"$BUILD/runner" --check
rm -f "$results"
: >"$results"

passed=0 failed=0 missing=''
directory() { case $1 in js-legacy) echo javascript ;; *) echo "$1" ;; esac; }

# Runs one command of the runner, and adds up its last line.
run() {
    log=$BUILD/log
    status=0
    "$BUILD/runner" --results "$results" "$@" >"$log" || status=$?
    cat "$log"
    if [ "$status" = 3 ]; then return 3; fi
    line=$(tail -n 1 "$log")
    case $line in
    *" passed, "*" failed")
        line=${line#*: }
        passed=$((passed + ${line%% passed*}))
        line=${line#*passed, }
        failed=$((failed + ${line%% failed*}))
        ;;
    *)
        echo "run.sh: the runner ended with status $status" >&2
        failed=$((failed + 1))
        ;;
    esac
}

up=''
for server in $SERVERS; do
    command=$PWD/$(directory "$server")/run.sh
    round=1
    while [ "$round" -le "$ROUNDS" ]; do
        echo "== $server, round $round of $ROUNDS"
        status=0
        run --server "$server" --command "$command" --jobs "$JOBS" --round "$round" $part || status=$?
        if [ "$status" = 3 ]; then
            missing="$missing $server"
            break
        fi
        round=$((round + 1))
    done
    [ "$status" = 3 ] || up="$up $server"
done

for client in $CLIENTS; do
    if ! "clients/$client/run.sh" --setup; then
        missing="$missing client-$client"
        continue
    fi
    for server in $up; do
        if [ "$server" = js-replay ]; then continue; fi
        echo "== the official $client client, $server"
        # What they do is shown, not judged: it neither passes nor fails.
        "$BUILD/runner" --results "$results" --server "$server" --command "$PWD/$(directory "$server")/run.sh" \
            --jobs "$JOBS" --client "$client" --driver "$PWD/clients/$client/run.sh" $part || {
            echo "run.sh: the trials of the $client client did not run" >&2
            failed=$((failed + 1))
        }
    done
done

if [ -z "$part" ]; then
    "$BUILD/runner" --list >"$BUILD/list.jsonl"
    python3 runner/report.py "$BUILD/list.jsonl" "$results" >"$BUILD/interop.md"
    mkdir -p "$root/docs"
    mv "$BUILD/interop.md" "$root/docs/interop.md"
fi

if [ -n "$missing" ]; then
    echo "run.sh: NOT SET UP, NOT RUN:$missing" >&2
    if [ "${CI:-}" = true ]; then failed=$((failed + 1)); fi
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
