#!/bin/sh
# Puts one bug at a time into a copy of the sources and runs the test that must catch it.
# Usage: tests/reliability/seeded/run.sh [patch...]   (about half a minute for each)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
# Builds of its own: one with a bug must never be taken for the real one. (Fresh times, too: see the m of tar.)
export CARGO_TARGET_DIR="${SEEDED_TARGET_DIR:-$root/target/seeded}"
export POND_TEST_SERVER="${POND_TEST_SERVER:-$root/target/release/pond-test-server}"
[ -x "$POND_TEST_SERVER" ] || { echo "no server at $POND_TEST_SERVER: run make server" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ $# -gt 0 ] || set -- "$here"/*.patch

fresh() {
    rm -rf "$scratch/tree"
    mkdir "$scratch/tree"
    (cd "$root" && tar cf - --exclude=build --exclude=target Cargo.toml Cargo.lock clippy.toml build.rs src server tests include) |
        tar xmf - -C "$scratch/tree"
}

run() { # test, log
    (cd "$scratch/tree" && timeout 300 cargo test --offline --features inject --test reliability -- --exact "$1") >"$2" 2>&1
}

bad=0
for patch in "$@"; do
    name=$(basename "$patch" .patch)
    test=$(sed -n 's/^Caught by: //p' "$patch")
    fresh
    patch -s -p1 -d "$scratch/tree" <"$patch" || { echo "$name: does not apply any more"; bad=1; continue; }
    # A bug that does not compile is caught by nobody.
    (cd "$scratch/tree" && cargo test --offline --features inject --test reliability --no-run) >"$scratch/log" 2>&1 || {
        echo "$name: does not compile"; tail -20 "$scratch/log"; bad=1; continue
    }
    if run "$test" "$scratch/log"; then
        echo "$name: NOT caught by $test"
        bad=1
    elif grep -q "1 failed" "$scratch/log"; then
        why=$(grep -A2 "panicked at" "$scratch/log" | grep -v "panicked at\|^--" | head -1 | cut -c1-110)
        echo "$name: caught by $test: $why"
    else
        echo "$name: $test did not run to its end"; tail -5 "$scratch/log"; bad=1
    fi
done
exit $bad
