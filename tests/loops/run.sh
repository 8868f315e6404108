#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs the tests of the embedding contract, and the loops among the C examples, each against a server of its own.
# An argument selects tests by a part of their name.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server of the checkout)
#   LONG=1            the stopped reader is stopped for 60 s instead of 5
#   CI=true           an example that cannot be built here is a failure
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
server=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
[ -x "$server" ] || { echo "run.sh: no program $server (an absolute path is needed)" >&2; exit 1; }
build=${BUILD:-$(pwd)/build}
filter=${1:-}

make -s BUILD="$build"
make -s -C "$root/examples-c" BUILD="$build/examples"

dir=$(mktemp -d)
server_pid=''
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill -KILL "$server_pid" 2>/dev/null || :
    wait "$server_pid" 2>/dev/null || :
    server_pid=''
}
trap 'stop_server; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Starts a server; its port goes to `port`.
start_server() {
    : >"$dir/server"
    "$server" --quiet >"$dir/server" 2>&1 </dev/null &
    server_pid=$!
    tries=200
    until grep -q '^listening ' "$dir/server"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo 'run.sh: the server does not listen' >&2; cat "$dir/server" >&2; exit 1; }
        sleep 0.05
    done
    port=$(sed -n 's|^listening ws://127.0.0.1:\([0-9]*\)/.*|\1|p' "$dir/server")
}

passed=0 failed=0
# attempt NAME COMMAND...: a test says "ok NAME" itself and succeeds; an example only succeeds.
attempt() {
    name=$1
    shift
    status=0
    timeout -k 5 "${LIMIT:-150}" "$@" >"$dir/out" 2>&1 || status=$?
    if [ "$status" -eq 0 ] && { [ "$kind" = example ] || grep -qx "ok $name" "$dir/out"; }; then
        passed=$((passed + 1))
        if [ "$kind" = example ]; then echo "ok $name"; fi
        cat "$dir/out" | if [ "$kind" = example ]; then grep -E '^([0-9]+ |longest)' | sed 's/^/   /' || :; else cat; fi
    else
        failed=$((failed + 1))
        sed 's/^/   /' "$dir/out" | grep -v '^   FAILED ' || :
        grep '^FAILED ' "$dir/out" || echo "FAILED $name: exit status $status"
    fi
}

kind=test
for name in $("$build/loop-tests"); do
    case $name in *"$filter"*) ;; *) continue ;; esac
    start_server
    POND_TEST_PORT=$port attempt "$name" "$build/loop-tests" "$name"
    stop_server
done

kind=example
for name in game_loop epoll uv_loop glib_loop sdl_loop; do
    case $name in *"$filter"*) ;; *) continue ;; esac
    if [ ! -x "$build/examples/$name" ]; then
        if [ "${CI:-}" = true ]; then
            failed=$((failed + 1))
            echo "FAILED $name: not built, its package is missing"
        else
            echo "not built: $name"
        fi
        continue
    fi
    start_server
    path=/api/socket
    if [ "$name" = game_loop ]; then path=/script; fi
    SDL_VIDEODRIVER=dummy attempt "$name" "$build/examples/$name" "ws://127.0.0.1:$port$path"
    stop_server
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
