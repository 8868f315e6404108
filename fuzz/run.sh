#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fuzzes each target for SECONDS (60), from the committed corpus; a crash, a hang of 10 s or 1 GiB of memory is a failure.
# Arguments name targets; none = all. Needs cargo-fuzz and the nightly toolchain. New inputs stay out of the corpus, under
# build/; the input of a crash is named.
set -eu
seconds=${SECONDS:-60}
# Some shells count their own seconds under this name.
[ "$seconds" -ge 5 ] || seconds=60
cd "$(dirname "$0")/.."
command -v cargo-fuzz >/dev/null || { echo 'run.sh: cargo-fuzz is missing: cargo install cargo-fuzz' >&2; exit 1; }
build=${BUILD:-$PWD/build/fuzz}
[ $# -gt 0 ] || set -- frame json route url session websocket
cargo +nightly fuzz build --target-dir "$build/target"
for target; do
    mkdir -p "$build/corpus/$target" "$build/crashes/$target"
    echo "fuzzing $target for $seconds s"
    if ! cargo +nightly fuzz run --target-dir "$build/target" "$target" "$build/corpus/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$target/" >"$build/$target.log" 2>&1; then
        tail -40 "$build/$target.log"
        echo "FAILED: $target; the input is in $build/crashes/$target"
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */  executed: /p' "$build/$target.log"
done
echo 'no crash'
