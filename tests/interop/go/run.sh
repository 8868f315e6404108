#!/bin/sh
# Builds the server, then becomes it: its pid is this script's.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/build
mkdir -p "$build"
(
    # Two servers may be started at once; only one builds, and into a new file, because the old one may be running.
    flock 9
    cd "$here"
    GOTOOLCHAIN=local GOFLAGS=-mod=readonly go build -buildvcs=false -o "$build/server.new" .
    mv "$build/server.new" "$build/server"
) 9>"$build/lock" >&2
exec "$build/server" "$@"
