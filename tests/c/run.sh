#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds and runs the C tests. An argument selects tests by a part of their name.
#   POND_TEST_SERVER  the server's program (target/release/pond-test-server of the checkout)
#   POND_TEST_MODE    only this mode: push, pull, dispatch, fd, wake
#   POND_TEST_SLOW    factor for all times of the tests
#   VALGRIND=1        under valgrind: a leak or an error fails
#   ASAN=1            the C side with the address and undefined behaviour sanitizers
set -eu
cd "$(dirname "$0")"

# A value relative to where we were called from would not be found from here.
POND_TEST_SERVER=${POND_TEST_SERVER:-$(cd ../.. && pwd)/target/release/pond-test-server}
export POND_TEST_SERVER
[ -x "$POND_TEST_SERVER" ] || { echo "run.sh: no program $POND_TEST_SERVER (an absolute path is needed)" >&2; exit 1; }

program=build/pond-tests
if [ "${ASAN:-}" = 1 ]; then program=build/pond-tests-asan; fi
make ${BUILD:+BUILD="$BUILD"} "${BUILD:-build}/${program##*/}"
program=${BUILD:-build}/${program##*/}

if [ "${VALGRIND:-}" = 1 ]; then
    POND_TEST_SLOW=${POND_TEST_SLOW:-10}
    export POND_TEST_SLOW
    # Children are the server, and forked ones that leak on purpose.
    exec valgrind --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect --error-exitcode=99 --trace-children=no --child-silent-after-fork=yes \
        "$program" "$@"
fi
exec "$program" "$@"
