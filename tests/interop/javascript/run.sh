#!/bin/sh
# Runs the JavaScript interop server with the given options; `run.sh --install-only` only fetches its packages.
set -eu
dir=$(cd "$(dirname "$0")" && pwd)

# Written after a complete installation: what it holds says of which lock file.
stamp="$dir/node_modules/.installed"
if ! cmp -s "$dir/package-lock.json" "$stamp"; then
    (cd "$dir" && npm ci --loglevel=error) >&2
    cp "$dir/package-lock.json" "$stamp"
fi
if [ "${1:-}" = --install-only ]; then
    exit 0
fi
exec node "$dir/server.js" "$@"
