#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the wheel, installs it where there is no compiler, checks the types, and runs the tests on the installed wheel.
#   POND_LIBDIR, POND_INCLUDEDIR  the library and its header (target/release, include)
#   POND_TEST_SERVER              the test server (target/release/pond-test-server)
# Arguments go to pytest.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
python=${PYTHON:-python3}
build=$PWD/build
export PIP_DISABLE_PIP_VERSION_CHECK=1
export POND_TEST_SERVER="${POND_TEST_SERVER:-$root/target/release/pond-test-server}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "run.sh: Python 3.11 or newer is needed" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
    echo "run.sh: THE PYTHON BINDING WAS NOT TESTED" >&2
    exit 0
}
rm -rf "$build/wheel"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$build/wheel" .
wheel=$(echo "$build"/wheel/*.whl)
echo "built $(basename "$wheel"), $(wc -c <"$wheel") bytes"

# As a stranger installs it: an empty environment, nothing but the wheel, no compiler in reach.
rm -rf "$build/empty"
"$python" -m venv "$build/empty"
PATH="$build/empty/bin" CC=/nonexistent "$build/empty/bin/pip" install --quiet --no-index "$wheel"
(cd / && "$build/empty/bin/python" -c 'import pondsocket_native; print("installed version", pondsocket_native.__version__)')

if ! cmp -s tests/requirements.txt "$build/installed.txt"; then
    rm -rf "$build/venv"
    "$python" -m venv "$build/venv"
    "$build/venv/bin/pip" install --quiet -r tests/requirements.txt
    cp tests/requirements.txt "$build/installed.txt"
fi
"$build/venv/bin/pip" install --quiet --no-index --no-deps --force-reinstall "$wheel"
"$build/venv/bin/python" -m mypy
exec "$build/venv/bin/python" -m pytest -q -ra -p no:cacheprovider "$@"
