#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Two people chat; their server is killed and comes back. Succeeds if and only if every expected line was seen.
# Builds nothing: `make demo` does.
#   CHAT              the chat program           (build/chat)
#   POND_TEST_SERVER  the server's program       (../target/release/pond-test-server)
#   DEADLINE          seconds to wait for a line (20)
set -u
cd "$(dirname "$0")" || exit 1

CHAT=${CHAT:-build/chat}
SERVER=${POND_TEST_SERVER:-../target/release/pond-test-server}
DEADLINE=${DEADLINE:-20}
for program in "$CHAT" "$SERVER"; do
    [ -x "$program" ] || { echo "demo: no program $program" >&2; exit 1; }
done

dir=$(mktemp -d) || exit 1
log=$dir/conversation
: >"$log"
server='' anna='' bert='' readers=''

# Ends what this script started, and nothing else.
cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    exec 3>&- 4>&-
    for pid in $server $anna $bert $readers; do kill "$pid" 2>/dev/null; done
    for pid in $server $anna $bert $readers; do wait "$pid" 2>/dev/null; done
    rm -rf "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '%s== %s%s\n' "$bold" "$1" "$plain"; }
fail() { printf 'demo: FAILED: %s\n' "$1" >&2; exit 1; }

# wait_for FILE REGEX [FROM]: until a line of the file (from line FROM on) matches.
wait_for() {
    tries=$((DEADLINE * 10))
    until tail -n "+${3:-1}" "$1" | grep -q -- "$2"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "no line like: $2"
        sleep 0.1
    done
}
expect() { wait_for "$log" "$1" "${2:-1}"; }
here() { echo $(($(wc -l <"$log") + 1)); }

# start_server PORT: starts it and waits until it listens; sets `port`.
start_server() {
    : >"$dir/server"
    "$SERVER" --port "$1" --quiet >"$dir/server" </dev/null 3>&- 4>&- &
    server=$!
    wait_for "$dir/server" '^listening '
    port=$(sed -n 's|^listening ws://127.0.0.1:\([0-9]*\)/.*|\1|p' "$dir/server")
    [ -n "$port" ] || fail 'the server told no port'
}

# Puts the name before each line, for the eyes and for the checks.
label() {
    while IFS= read -r line; do
        printf '[%s] %s\n' "$1" "$line" | tee -a "$log"
    done
}

# start_chat NAME: a chat program between two fifos; its pid goes to `pid`.
start_chat() {
    mkfifo "$dir/$1.in" "$dir/$1.out" || exit 1
    label "$1" <"$dir/$1.out" 3>&- 4>&- &
    readers="$readers $!"
    "$CHAT" "$1" 42 "ws://127.0.0.1:$port/api/socket" secret <"$dir/$1.in" >"$dir/$1.out" 2>&1 3>&- 4>&- &
    pid=$!
}

say 'a server starts, and two people join'
start_server 0
start_chat anna; anna=$pid; exec 3>"$dir/anna.in"
expect '^\[anna\] \* joined 42$'
expect '^\[anna\] \* here: anna$'
start_chat bert; bert=$pid; exec 4>"$dir/bert.in"
expect '^\[bert\] \* joined 42$'
expect '^\[anna\] \* bert joined$'

say 'they talk'
echo 'hello bert' >&3
expect '^\[anna\] anna: hello bert$'
expect '^\[bert\] anna: hello bert$'
echo 'hello anna, schön dich zu lesen' >&4
expect '^\[anna\] bert: hello anna, schön dich zu lesen$'
expect '^\[bert\] bert: hello anna, schön dich zu lesen$'
echo '/who' >&3
expect '^\[anna\] \* here: \(anna bert\|bert anna\)$'

say 'the server is killed'
away=$(here)
kill -KILL "$server"
wait "$server" 2>/dev/null
server=''
expect '^\[anna\] .*reconnecting in ' "$away"
expect '^\[bert\] .*reconnecting in ' "$away"

say 'anna writes all the same'
echo 'said while the server was away' >&3
expect '^\[anna\] \* kept until 42 is joined$' "$away"

say 'the server starts again on the same port'
back=$(here)
start_server "$port"
expect '^\[anna\] \* back in 42$' "$back"
expect '^\[bert\] \* back in 42$' "$back"
expect '^\[anna\] anna: said while the server was away$' "$back"
expect '^\[bert\] anna: said while the server was away$' "$back"

say 'bert asks the server'
echo '/ask are you well?' >&4
expect '^\[bert\] \* answer: pong are you well?$'

say 'both leave: anna with /quit, bert with the end of his input'
echo '/quit' >&3
expect '^\[bert\] \* anna left$' "$back"
exec 4>&-
expect '^\[anna\] \* bye$'
expect '^\[bert\] \* bye$'
wait "$anna" || fail 'anna ended with an error'
anna=''
wait "$bert" || fail 'bert ended with an error'
bert=''
once=$(grep -c '^\[bert\] anna: said while the server was away$' "$log")
[ "$once" -eq 1 ] || fail "the kept line came $once times"
say 'every expected line was seen'
