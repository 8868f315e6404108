#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Two nodes of a server behind redis-server: one is killed, its clients go to the other, and nothing is lost that was
# not in doubt.
#   SERVERS           which (rust python)
#   ROUNDS            how often (1)
#   LIBDIR            where libpondsocket is (target/release)
#   POND_TEST_SERVER  the Rust server's program (target/release/pond-test-server)
# redis-server is installed when it is missing and we may. A Python server that cannot be set up is a failure with
# CI=true, elsewhere it is skipped, loudly.
set -eu
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
SERVERS=${SERVERS:-rust python}
ROUNDS=${ROUNDS:-1}
LIBDIR=${LIBDIR:-${CARGO_TARGET_DIR:-$root/target}/release}
POND_TEST_SERVER=${POND_TEST_SERVER:-${CARGO_TARGET_DIR:-$root/target}/release/pond-test-server}
BUILD=${BUILD:-$root/build/failover}
mkdir -p "$BUILD/logs"

[ -e "$LIBDIR/libpondsocket.so" ] || [ -e "$LIBDIR/libpondsocket.dylib" ] || {
    echo "run.sh: no libpondsocket in $LIBDIR: build it first, with make lib" >&2
    exit 1
}
if ! command -v redis-server >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
        echo "run.sh: redis-server is missing (Debian's name, too)" >&2
        exit 1
    fi
    echo "run.sh: installing redis-server" >&2
    export DEBIAN_FRONTEND=noninteractive
    log=$BUILD/logs/apt.log
    { apt-get update -q && apt-get install -q -y --no-install-recommends redis-server; } >"$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
fi

missing=''
set --
for server in $SERVERS; do
    case $server in
    rust)
        [ -x "$POND_TEST_SERVER" ] || {
            echo "run.sh: no program $POND_TEST_SERVER: build it first, with make server" >&2
            exit 1
        }
        set -- "$@" rust "$POND_TEST_SERVER"
        ;;
    python)
        # Only the set-up: asked for its help it makes its environment and ends.
        if ../python/run.sh --help >"$BUILD/logs/python-setup.log" 2>&1; then
            set -- "$@" python "$root/tests/interop/python/run.sh"
        else
            cat "$BUILD/logs/python-setup.log" >&2
            missing="$missing python"
        fi
        ;;
    *)
        echo "run.sh: no server $server with nodes" >&2
        exit 1
        ;;
    esac
done

make -s PONDSOCKET_DIR="$root" LIBDIR="$LIBDIR" BUILD="$BUILD" "$BUILD/failover"
status=0
rm -f "$BUILD"/logs/*-[ab].log "$BUILD/logs/redis.log"
if [ $# -gt 0 ]; then
    once=$#
    round=1
    while [ "$round" -lt "$ROUNDS" ]; do
        i=0
        while [ "$i" -lt "$once" ]; do
            i=$((i + 1))
            eval "set -- \"\$@\" \"\${$i}\""
        done
        round=$((round + 1))
    done
    FAILOVER_LOGS=$BUILD/logs "$BUILD/failover" "$@" || status=1
fi
if [ -n "$missing" ]; then
    echo "run.sh: NOT SET UP, NOT RUN:$missing" >&2
    if [ "${CI:-}" = true ] || [ $# = 0 ]; then status=1; fi
fi
exit "$status"
