#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Misuse under load: random calls of every function of the header, from many threads and from inside callbacks, with stale,
# freed, NULL and mistyped handles, against a real server, a silent and a refusing port, with pond_shutdown now and then.
# It fails when a call answers what the header does not name, a destroy runs not once, an accepted request completes not
# once, a thread makes no progress, or a function of the header was never called.
#   CALLS=200000       how many calls (about 30 s)
#   POND_HAMMER_SEED   the seed that a failing run has printed; the threads' timing is not in it
#   SANITIZE=address   library and program under AddressSanitizer; needs the nightly toolchain with rust-src
#   SANITIZE=thread    the same under ThreadSanitizer
#   VALGRIND=memcheck  or helgrind, drd: under valgrind; use some 20000 calls
#   POND_HAMMER_BUG    status, destroy, reply, hang, memory, race: a bug that the run must catch; all of them with `run.sh bugs`
#   POND_TEST_SERVER   the server's program (target/release/pond-test-server of the checkout)
#   LIBDIR             where libpondsocket is (target/release; with VALGRIND target/debug)
set -eu
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
server=${POND_TEST_SERVER:-$root/target/release/pond-test-server}
[ -x "$server" ] || { echo "run.sh: no program $server (an absolute path is needed)" >&2; exit 1; }
build=${BUILD:-$root/build/hammer}
mkdir -p "$build"
profile=release
flags='-O1 -g'
compiler=${CC:-cc}
run=''
case ${VALGRIND:-} in
'') ;;
memcheck) profile=debug run='valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite' ;;
helgrind | drd) profile=debug run="valgrind -q --tool=$VALGRIND --error-exitcode=99" ;;
*) echo "run.sh: no such tool: $VALGRIND" >&2; exit 2 ;;
esac
libdir=${LIBDIR:-$root/target/$profile}
case ${SANITIZE:-} in
'') ;;
address | thread)
    # The standard library is built anew as well, so that its code is watched too.
    target=$(rustc -vV | sed -n 's/^host: //p')
    (
        cd "$root"
        CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only RUSTFLAGS="-Zsanitizer=$SANITIZE" \
            cargo +nightly rustc -q -Zbuild-std --target "$target" --target-dir "$build/$SANITIZE" --lib --crate-type cdylib
    )
    libdir=$build/$SANITIZE/$target/debug
    compiler=clang
    flags="$flags -fno-omit-frame-pointer -fsanitize=$SANITIZE"
    ;;
*) echo "run.sh: no such sanitizer: $SANITIZE" >&2; exit 2 ;;
esac
[ -e "$libdir/libpondsocket.so" ] || { echo "run.sh: no library in $libdir" >&2; exit 1; }
program=$build/hammer-${SANITIZE:-plain}
runtime=''
if [ "${SANITIZE:-}" = thread ]; then
    export TSAN_OPTIONS="suppressions=$PWD/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
    # An older clang's runtime lacks what the library asks for: the toolchain that built it brings its own.
    runtime=$(rustc +nightly --print sysroot)/lib/rustlib/$target/lib/librustc-nightly_rt.tsan.a
fi
for source in main calls; do
    # shellcheck disable=SC2086 # flags are words
    "$compiler" -std=c11 -Wall -Wextra -Wpedantic $flags -I"$root/include" -c -o "$program-$source.o" $source.c
done
if [ -n "$runtime" ]; then
    flags='-g'
    runtime="-Wl,--whole-archive $runtime -Wl,--no-whole-archive -Wl,--export-dynamic -ldl -lm -lrt -lgcc_s"
fi
# shellcheck disable=SC2086 # flags and runtime are words
"$compiler" $flags -o "$program" "$program-main.o" "$program-calls.o" $runtime \
    -L"$libdir" -lpondsocket -Wl,-rpath,"$libdir" -pthread

dir=$(mktemp -d)
server_pid=''
stop() {
    [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null || :
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
: >"$dir/server"
"$server" --quiet >"$dir/server" 2>&1 </dev/null &
server_pid=$!
tries=200
until grep -q '^listening ' "$dir/server"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo 'run.sh: the server does not listen' >&2; exit 1; }
    sleep 0.05
done
port=$(sed -n 's|^listening ws://127.0.0.1:\([0-9]*\)/.*|\1|p' "$dir/server")

# hammer: one run; what it printed is in $dir/out.
hammer() {
    status=0
    # No core files: a planted bug ends in an abort.
    # shellcheck disable=SC2086 # $run is words
    (
        ulimit -c 0
        timeout -k 5 "${LIMIT:-3600}" $run "$program" "$port"
    ) >"$dir/out" 2>&1 || status=$?
    return "$status"
}

if [ "${1:-}" = bugs ]; then
    # Each planted bug must be caught, and by the check that it is for.
    catch() {
        # Only where nothing goes on a short patience is enough.
        patience=300
        [ "$1" != hang ] || patience=10
        if POND_HAMMER_BUG=$1 POND_HAMMER_WATCHDOG=$patience CALLS=${CALLS:-20000} hammer; then
            echo "FAILED: the planted bug '$1' was not caught"
            exit 1
        fi
        grep -q "$2" "$dir/out" || { echo "FAILED: the planted bug '$1' was not told"; tail -20 "$dir/out"; exit 1; }
        echo "caught: $1"
    }
    catch status 'which the header does not name'
    catch destroy 'destroyed twice'
    catch reply 'replies'
    catch hang 'makes no progress'
    case ${SANITIZE:-}${VALGRIND:-} in
    address) catch memory 'heap-use-after-free' ;;
    memcheck) catch memory 'Invalid read' ;;
    thread) catch race 'data race' ;;
    helgrind) catch race 'Possible data race' ;;
    drd) catch race 'Conflicting' ;;
    esac
    exit 0
fi

if ! hammer; then
    grep -v '^called ' "$dir/out" | head -200
    echo "FAILED: exit status $status"
    exit 1
fi
grep -v '^called ' "$dir/out"
if [ "${CALLS:-200000}" -ge 100000 ]; then
    # Every function of the header.
    missing=$(sed -n 's/^POND_API .*[ *]\(pond_[a-z0-9_]*\)(.*/\1/p' "$root/include/pondsocket.h" | sort -u | while read -r function; do
        grep -q "^called $function " "$dir/out" || echo "$function"
    done)
    [ -z "$missing" ] || { echo "FAILED: never called: $missing"; exit 1; }
fi
