#!/bin/sh
# Runs the Rust interop server with the given options: the test server in release form. `run.sh --install-only`
# only builds it.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
server="${CARGO_TARGET_DIR:-$root/target}/release/pond-test-server"

if [ "${1:-}" = --install-only ]; then
    cd "$root"
    exec cargo build --release --locked -p pond-test-server
fi
if ! [ -x "$server" ]; then
    echo "run.sh: $server is missing; build it with: $0 --install-only" >&2
    exit 1
fi
exec "$server" "$@"
