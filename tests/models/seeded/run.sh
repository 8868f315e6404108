#!/bin/sh
# Puts one bug at a time into a copy of the sources and runs the model that must catch it.
# Usage: tests/models/seeded/run.sh [patch...]   (some 10 seconds for each, once the dependencies are built)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
# Builds of its own: one with a bug must never be taken for the real one. (Fresh times, too: see the m of tar.)
export CARGO_TARGET_DIR="${SEEDED_TARGET_DIR:-$root/target/seeded}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ $# -gt 0 ] || set -- "$here"/*.patch

bad=0
start=$PWD
for patch in "$@"; do
    cd "$start"
    name=$(basename "$patch" .patch)
    test=$(sed -n 's/^Caught by: //p' "$patch")
    rm -rf "$scratch/tree"
    mkdir "$scratch/tree"
    (cd "$root" && tar cf - --exclude=build --exclude=target Cargo.toml Cargo.lock clippy.toml build.rs src server tests) |
        tar xmf - -C "$scratch/tree"
    patch -s -p1 -d "$scratch/tree" <"$patch" || { echo "$name: does not apply any more"; bad=1; continue; }
    cd "$scratch/tree"
    # A bug that does not compile is caught by nobody.
    cargo test --offline --test models --no-run >"$scratch/log" 2>&1 || {
        echo "$name: does not compile"; tail -20 "$scratch/log"; bad=1; continue
    }
    if timeout 300 cargo test --offline --test models -- --exact "$test" >"$scratch/log" 2>&1; then
        echo "$name: NOT caught by $test"
        bad=1
    elif grep -q "1 failed" "$scratch/log"; then
        why=$(grep -a -A3 "panicked at" "$scratch/log" | grep -a -v "panicked at\|^--" | head -1 | cut -c1-110)
        echo "$name: caught by $test: $why"
    else
        echo "$name: $test did not run to its end"; tail -5 "$scratch/log"; bad=1
    fi
done
exit $bad
