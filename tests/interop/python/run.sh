#!/bin/sh
# Makes the virtual environment when it is missing or out of date, then becomes the server: its pid is this script's.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/build
python=${PYTHON:-python3}
mkdir -p "$build"
(
    # Two servers may be started at once; only one builds.
    flock 9
    if ! cmp -s "$here/requirements.txt" "$build/installed.txt"; then
        rm -rf "$build/venv"
        "$python" -m venv "$build/venv"
        "$build/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$build/installed.txt"
    fi
) 9>"$build/lock" >&2
exec "$build/venv/bin/python" "$here/server.py" "$@"
