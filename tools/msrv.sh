#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Checks the library with the oldest Rust that it promises to build with (rust-version in Cargo.toml). Takes it from rustup, if it is
# not there.
set -eu
cd "$(dirname "$0")/.."
oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$oldest" ] || { echo "msrv: Cargo.toml names no rust-version" >&2; exit 1; }
cannot() {
    echo "msrv: NOT CHECKED with Rust $oldest: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}
if ! cargo "+$oldest" --version >/dev/null 2>&1; then
    command -v rustup >/dev/null || cannot "there is no rustup to get it with"
    rustup toolchain install "$oldest" --profile minimal --no-self-update || cannot "it could not be installed"
fi
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv cargo "+$oldest" check --locked --lib
echo "msrv: the library builds with $(rustc "+$oldest" --version)"
