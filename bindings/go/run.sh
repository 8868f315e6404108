#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Installs the built library into a folder of its own, and vets and tests the Go binding against it, its examples and the
# program of its README. `make bindings-go` builds what it needs.
#   POND_TEST_SERVER  the test server's program, as an absolute path
#   PREFIX            where the library is installed already; empty = install it into build/go/prefix
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
build=$root/build/go
[ -x "${POND_TEST_SERVER:-}" ] || { echo "run.sh: POND_TEST_SERVER names no program" >&2; exit 1; }
command -v go >/dev/null || { echo "run.sh: go is missing" >&2; exit 1; }
mkdir -p "$build"
if [ -z "${PREFIX:-}" ]; then
    PREFIX=$build/prefix
    (cd "$root" && PREFIX="$PREFIX" DESTDIR='' packaging/install.sh install)
fi
export PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LD_LIBRARY_PATH="$PREFIX/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export DYLD_LIBRARY_PATH="$PREFIX/lib${DYLD_LIBRARY_PATH:+:$DYLD_LIBRARY_PATH}"
# Go's build cache does not look at pkg-config's answer, but at these: without them it may link an earlier library.
export CGO_CFLAGS="-O2 -g -I$PREFIX/include" CGO_LDFLAGS="-O2 -g -L$PREFIX/lib"

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "run.sh: not formatted: $unformatted" >&2; exit 1; }
go vet ./...
go test -count=1 -timeout 300s .
echo "-- with the race detector"
go test -count=1 -timeout 500s -race .
echo "-- with every check of pointers between Go and C"
GOEXPERIMENT=cgocheck2 go test -count=1 -timeout 300s -run 'Talk|Requests|Presence|Order|Close|Dial|Example' .

echo "-- examples"
for example in quickstart chat request; do go build -o "$build/$example" "./examples/$example"; done
# The program of the README is built as it stands there.
mkdir -p "$build/readme"
sed -n '/^```go$/,/^```$/p' README.md | sed '/^```/d' >"$build/readme/main.go"
printf 'module readme\n\ngo 1.24\n\nrequire pondsocket v0.0.0\n\nreplace pondsocket => %s\n' "$PWD" >"$build/readme/go.mod"
(cd "$build/readme" && go build -o "$build/readme.program" .)

log=$build/server.log
"$POND_TEST_SERVER" --port 0 --quiet >"$log" </dev/null &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
tries=100
until url=$(sed -n 's/^listening //p' "$log") && [ -n "$url" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "run.sh: the server does not listen" >&2; exit 1; }
    sleep 0.1
done

# expect PROGRAM LINE...: it ends well, and each line is among what it printed.
expect() {
    program=$1
    shift
    timeout 30 "$build/$program" "$url" secret >"$build/$program.out" || { echo "run.sh: $program failed" >&2; exit 1; }
    for line in "$@"; do
        grep -q -- "$line" "$build/$program.out" || {
            echo "run.sh: $program did not print: $line" >&2
            cat "$build/$program.out" >&2
            exit 1
        }
    done
    echo "$program: ok"
}
expect quickstart '^joined: .*anna' '^message: .*hello' '^answer:  pong '
expect request '^slow      slow ' '^quick     pong ' '^quicker   echo ' '^unknown   POND_ERROR_SERVER' \
    '^silent    no answer in time' '^cancelled POND_ERROR_CANCELLED'
expect readme.program '^message: .*hello' '^answer: pong '
CHAT=$build/chat "$root/examples-c/demo.sh" >"$build/demo.out" || { cat "$build/demo.out" >&2; exit 1; }
echo "chat: ok, through the demo"

# The bench needs a module from elsewhere. What it measures: bench/README.md in the root.
(cd bench && go vet . && go build -o "$build/bench" .) 2>"$build/bench.log" || {
    echo "run.sh: THE BENCH WAS NOT BUILT: $(tail -n 1 "$build/bench.log")" >&2
    [ "${CI:-}" != true ] || exit 1
}
