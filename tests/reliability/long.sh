#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The long part of `make reliability`: each step, how long it took, and whether it passed. One that cannot run here says so;
# with CI=true that is a failure.
#   SIMULATION=600     seconds of the simulation (release build, one core)
#   CLIENTS, SECONDS   of the soak (1000, 600)
#   POND_TEST_SERVER   the server's program
# Arguments select steps: storms simulation memcheck address thread soak bugs
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root" || exit 1
export POND_TEST_SERVER="${POND_TEST_SERVER:-$root/target/release/pond-test-server}"
CARGO=${CARGO:-cargo}
SIMULATION=${SIMULATION:-600}
CLIENTS=${CLIENTS:-1000}
# Some shells count SECONDS themselves: a small number is such a count.
soak=${SECONDS:-600}
[ "$soak" -ge 10 ] || soak=600
steps=${*:-storms simulation memcheck address thread soak bugs}
passed=0 failed=0 skipped=''

step() { # seconds, name, command
    limit=$1 name=$2
    shift 2
    case " $steps " in *" ${name%%-*} "*) ;; *) return 0 ;; esac
    begun=$(date +%s)
    echo "== $name"
    if timeout -k 10 "$limit" "$@"; then
        passed=$((passed + 1))
        echo "ok: $name, $(($(date +%s) - begun)) s"
    else
        failed=$((failed + 1))
        echo "FAILED: $name, $(($(date +%s) - begun)) s"
    fi
}

skip() {
    case " $steps " in *" $1 "*) ;; *) return 0 ;; esac
    echo "NOT RUN: $1: $2" >&2
    skipped="$skipped $1"
    if [ "${CI:-}" = true ]; then failed=$((failed + 1)); fi
}

step 1800 storms env LONG=1 "$CARGO" test --test reliability storms -- --nocapture
# Optimised, but with the checks of a debug build.
step $((SIMULATION + 1800)) simulation env CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_TARGET_DIR="$root/target/simulation" \
    POND_SIM_SECONDS="$SIMULATION" "$CARGO" test --test session -- --nocapture simulation::simulation
if command -v valgrind >/dev/null; then
    "$CARGO" build --lib || failed=$((failed + 1))
    step 1800 memcheck env VALGRIND=memcheck CALLS=20000 tests/reliability/hammer/run.sh
    step 1800 memcheck-bugs env VALGRIND=memcheck CALLS=20000 tests/reliability/hammer/run.sh bugs
else
    skip memcheck "valgrind is missing"
fi
if command -v clang >/dev/null && [ -d "$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src" ]; then
    step 3600 address env SANITIZE=address CALLS=1000000 tests/reliability/hammer/run.sh
    step 1800 address-bugs env SANITIZE=address tests/reliability/hammer/run.sh bugs
    step 3600 thread env SANITIZE=thread tests/reliability/hammer/run.sh
    step 1800 thread-bugs env SANITIZE=thread tests/reliability/hammer/run.sh bugs
else
    skip address "clang, or the nightly toolchain with rust-src, is missing"
    skip thread "clang, or the nightly toolchain with rust-src, is missing"
fi
step $((soak + 600)) soak env CLIENTS="$CLIENTS" SECONDS="$soak" tests/reliability/soak/run.sh
step 3600 bugs-hammer tests/reliability/hammer/run.sh bugs
step 3600 bugs-soak tests/reliability/soak/run.sh bugs
step 3600 bugs-reliability tests/reliability/seeded/run.sh
step 3600 bugs-models tests/models/seeded/run.sh
[ -z "$skipped" ] || echo "NOT RUN:$skipped" >&2
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
