#!/bin/sh
# The driver of the official Python client. `run.sh --setup` only makes its virtual environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/build
mkdir -p "$build"
(
    flock 9
    if ! cmp -s "$here/requirements.txt" "$build/installed.txt"; then
        rm -rf "$build/venv"
        "${PYTHON:-python3}" -m venv "$build/venv"
        "$build/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$build/installed.txt"
    fi
) 9>"$build/lock" >&2
if [ "${1:-}" = --setup ]; then exit 0; fi
exec "$build/venv/bin/python" "$here/driver.py"
