#!/bin/sh
# The driver of the official JavaScript client. `run.sh --setup` only installs it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
(
    flock 9
    stamp=$here/node_modules/.installed
    if ! cmp -s "$here/package.json" "$stamp"; then
        cd "$here"
        npm install --no-package-lock --loglevel=error
        cp package.json "$stamp"
    fi
) 9>"$here/.lock" >&2
if [ "${1:-}" = --setup ]; then exit 0; fi
exec node "$here/driver.js"
