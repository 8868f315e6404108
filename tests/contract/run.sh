#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds and runs the contract tests: shutdown, misuse, dials and process state. Arguments: a suite (shutdown, misuse,
# dials) and a part of a test's name; none = all.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server of the checkout)
#   LIBDIR            where libpondsocket is (target/release; with VALGRIND=1 target/debug: it has symbols)
#   BUILD             where the tests are built (build/)
#   CONTRACT_SLOW     factor for all times of the tests (1; with VALGRIND=1: 10)
#   VALGRIND=1        each test under valgrind: an error or a leak fails
# The last line is "N passed, N failed"; failures, and no test at all, are an error.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

POND_TEST_SERVER=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
if [ ! -x "$POND_TEST_SERVER" ]; then
    # A value relative to where we were called from is not found from here.
    echo "run.sh: no program $POND_TEST_SERVER (build it, or give an absolute path)" >&2
    exit 1
fi

# Each library has its own directory, since the programs remember where theirs is.
profile=release
dir=build
if [ "${VALGRIND:-}" = 1 ]; then
    profile=debug dir=build/valgrind
    CONTRACT_SLOW=${CONTRACT_SLOW:-10}
    export CONTRACT_SLOW
    [ -n "${LIBDIR:-}" ] || (cd "$root" && "${CARGO:-cargo}" build --quiet --lib)
fi
LIBDIR=${LIBDIR:-${CARGO_TARGET_DIR:-$root/target}/$profile}
BUILD=${BUILD:-$dir}
CONTRACT_DLOPEN_HOST=$BUILD/dlopen-host
CONTRACT_LIBRARY=$LIBDIR/libpondsocket.so
TMPDIR=${TMPDIR:-$BUILD}
export TMPDIR POND_TEST_SERVER CONTRACT_DLOPEN_HOST CONTRACT_LIBRARY

# Every function of the header has its row among the misuse tests.
./rows.sh || { echo "0 passed, 1 failed" && exit 1; }
make --no-print-directory -s PONDSOCKET_DIR="$root" LIBDIR="$LIBDIR" BUILD="$BUILD"
exec "$BUILD/contract-tests" "$@"
