#!/bin/sh
# The driver of the official Rust client. `run.sh --setup` only builds it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --setup ]; then
    cd "$here"
    CARGO_TARGET_DIR="$here/target" exec cargo build --quiet --locked
fi
exec "$here/target/debug/interop-client"
