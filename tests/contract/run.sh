#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds and runs the contract tests: shutdown, misuse, dials and process state. Arguments: a suite (shutdown, misuse,
# dials) and a part of a test's name; none = all.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server of the checkout)
#   LIBDIR            where libpondsocket is (target/release of the checkout)
#   CONTRACT_SLOW     factor for all times of the tests
#   VALGRIND=1        each test under valgrind: an error or a leak fails
# The last line is "N passed, N failed"; failures, and no test at all, are an error.
set -eu
cd "$(dirname "$0")"

root=$(cd ../.. && pwd)
LIBDIR=${LIBDIR:-$root/target/release}
BUILD=${BUILD:-build}
POND_TEST_SERVER=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
[ -x "$POND_TEST_SERVER" ] || { echo "run.sh: no program $POND_TEST_SERVER (an absolute path is needed)" >&2; exit 1; }

CONTRACT_DLOPEN_HOST=$BUILD/dlopen-host
CONTRACT_LIBRARY=$LIBDIR/libpondsocket.so
[ -f "$CONTRACT_LIBRARY" ] || CONTRACT_LIBRARY=$LIBDIR/libpondsocket.dylib
export POND_TEST_SERVER CONTRACT_DLOPEN_HOST CONTRACT_LIBRARY

make --no-print-directory -s BUILD="$BUILD" LIBDIR="$LIBDIR"

# Every function of the header has its row among the misuse tests.
./rows.sh

if [ "${VALGRIND:-}" = 1 ]; then
    CONTRACT_SLOW=${CONTRACT_SLOW:-8}
    export CONTRACT_SLOW
fi

case ${1:-} in
shutdown | misuse | dials) suites=$1 && shift ;;
*) suites="shutdown misuse dials" ;;
esac

passed=0
failed=0
for suite in $suites; do
    output=$("$BUILD/contract-tests" "$suite" "$@" | tee /dev/stderr | tail -n 1) || true
    case $output in
    *" passed, "*" failed")
        passed=$((passed + ${output%% *}))
        output=${output#* passed, }
        failed=$((failed + ${output%% *}))
        ;;
    *) failed=$((failed + 1)) ;; # it did not come to its end
    esac
done 2>&1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
