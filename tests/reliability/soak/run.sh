#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The soak: many clients of one process against two servers, under random faults, then the account. For Linux: it reads
# /proc.
#   CLIENTS=200         how many (a multiple of 4)
#   SECONDS=20          how long the faults last; the whole run takes about a minute more
#                       The long run: CLIENTS=1000 SECONDS=600, 11 minutes
#   POND_SOAK_SEED      the seed that a failing run has printed; the timing of threads and network is not in it
#   POND_SOAK_BUG       lost, doubt, twice, state, reply, memory, fd: a bug that the run must catch; all with `run.sh bugs`
#   POND_TEST_SERVER    the server's program (target/release/pond-test-server of the checkout)
#   LIBDIR              where libpondsocket is (target/release)
#   PLOT                the picture (build/soak/soak.svg)
set -eu
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
CLIENTS=${CLIENTS:-200}
# Some shells count SECONDS themselves: a small number is such a count.
duration=${SECONDS:-20}
[ "$duration" -ge 10 ] || duration=20
server=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
libdir=${LIBDIR:-$root/target/release}
build=${BUILD:-$root/build/soak}
[ -x "$server" ] || { echo "run.sh: no program $server (an absolute path is needed)" >&2; exit 1; }
[ -e "$libdir/libpondsocket.so" ] || { echo "run.sh: no library in $libdir" >&2; exit 1; }
mkdir -p "$build"
"${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -O2 -g -I"$root/include" -o "$build/soak" main.c clients.c account.c world.c \
    -L"$libdir" -lpondsocket -Wl,-rpath,"$libdir" -pthread

if [ "${1:-}" = bugs ]; then
    # Each planted bug must be caught, and by the check that it is for.
    passed=0
    failed=0
    while read -r bug words; do
        if POND_SOAK_BUG=$bug timeout -k 5 $((duration + 240)) "$build/soak" "$server" "$CLIENTS" "$duration" "$build/bug.csv" \
            >"$build/bug.log" 2>&1; then
            echo "FAILED: the planted bug '$bug' was not caught"
            failed=$((failed + 1))
        elif grep -q "$words" "$build/bug.log"; then
            echo "caught: $bug"
            passed=$((passed + 1))
        else
            echo "FAILED: the planted bug '$bug' was not told"
            tail -30 "$build/bug.log"
            failed=$((failed + 1))
        fi
    done <<'LIST'
lost message .* is missing
doubt message .* is missing
twice came twice
state channel state
reply requests accepted, 1 did not complete
fd FAILED: threads .*descriptors
memory FAILED: memory
LIST
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi

status=0
timeout -k 5 $((duration + 240)) "$build/soak" "$server" "$CLIENTS" "$duration" "$build/soak.csv" || status=$?
case $status in
0 | 1) ;;
*) echo "FAILED: the soak ended with status $status"; echo '0 passed, 1 failed' ;;
esac
[ "$(wc -l <"$build/soak.csv")" -lt 3 ] || python3 plot.py "$build/soak.csv" "${PLOT:-$build/soak.svg}"
exit "$status"
