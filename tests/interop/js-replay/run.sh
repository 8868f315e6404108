#!/bin/sh
# Runs the replay of the newer JavaScript dialect with the given options; `run.sh --install-only` only builds it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --install-only ]; then
    exec "$here/../rust/run.sh" --install-only
fi
exec "$here/../rust/run.sh" --replay "$here/../../data/captures/js.jsonl" "$@"
