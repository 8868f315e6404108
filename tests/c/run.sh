#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds and runs the C tests. An argument selects tests by a part of their name.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server of the checkout)
#   LIBDIR            where libpondsocket is (target/release; with VALGRIND=1 target/debug: it has symbols)
#   BUILD             where the tests are built (build/)
#   POND_TEST_MODE    only this mode: push, pull, dispatch, fd, wake
#   POND_TEST_SLOW    factor for all times of the tests (1; with VALGRIND=1: 10)
#   VALGRIND=1        under valgrind: a leak or an error fails
#   ASAN=1            the C side with the address and undefined behaviour sanitizers
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

POND_TEST_SERVER=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
export POND_TEST_SERVER
if [ ! -x "$POND_TEST_SERVER" ]; then
    # A value relative to where we were called from is not found from here.
    echo "run.sh: no program $POND_TEST_SERVER (build it, or give an absolute path)" >&2
    exit 1
fi

# Each library has its own directory, since the programs remember where theirs is.
name=pond-tests
profile=release
dir=build
if [ "${ASAN:-}" = 1 ]; then name=pond-tests-asan; fi
if [ "${VALGRIND:-}" = 1 ]; then profile=debug dir=build/valgrind; fi
if [ -z "${LIBDIR:-}" ] && [ "$profile" = debug ]; then
    # Nobody else has a need for this one, so that it may be old or missing.
    (cd "$root" && "${CARGO:-cargo}" build --quiet --lib)
fi
LIBDIR=${LIBDIR:-${CARGO_TARGET_DIR:-$root/target}/$profile}
BUILD=${BUILD:-$dir}
make PONDSOCKET_DIR="$root" LIBDIR="$LIBDIR" BUILD="$BUILD" "$BUILD/$name"

if [ "${VALGRIND:-}" = 1 ]; then
    POND_TEST_SLOW=${POND_TEST_SLOW:-10}
    export POND_TEST_SLOW
    exec valgrind --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect --error-exitcode=99 --suppressions=valgrind.supp \
        "$BUILD/$name" "$@"
fi
exec "$BUILD/$name" "$@"
