#!/bin/sh
# Runs the JavaScript interop server with the given options; `run.sh --install-only` only fetches its packages.
set -eu
dir=$(cd "$(dirname "$0")" && pwd)

# Two servers may be started at once; only one installs.
(
    flock 9
    # Written after a complete installation: what it holds says of which lock file.
    stamp="$dir/node_modules/.installed"
    if ! cmp -s "$dir/package-lock.json" "$stamp"; then
        cd "$dir"
        npm ci --loglevel=error
        cp package-lock.json "$stamp"
    fi
) 9>"$dir/.lock" >&2
if [ "${1:-}" = --install-only ]; then
    exit 0
fi
exec node "$dir/server.js" "$@"
