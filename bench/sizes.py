#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the library in its variants and writes their sizes to docs/performance.md. Each is a whole build: about 20 minutes.

    sizes.py [--docs DIR] [--target-dir DIR]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sizes"
PREFIX = "CARGO_PROFILE_RELEASE_"
HOST = next(line.split()[1] for line in subprocess.run(["rustc", "-vV"], capture_output=True, text=True).stdout.splitlines()
            if line.startswith("host:"))
# As the Makefile has it.
LINKER = [] if sys.platform == "darwin" else ["--", "-C", f"linker={ROOT}/packaging/versioned-cc", "-C", "linker-flavor=gcc"]
STD = ["-Z", "build-std=std,panic_unwind", "-Z", "build-std-features=optimize_for_size", "--target", HOST]
# What, by what setting of cargo's, by which toolchain and arguments, and what one has of it.
VARIANTS = [
    ("as `make lib` builds it", {}, None, [], ""),
    ('`opt-level = "z"`', {"OPT_LEVEL": "z"}, None, [], "slower: loops are not unrolled, less is inlined"),
    ("`opt-level = 3`", {"OPT_LEVEL": "3"}, None, [], "for speed alone"),
    ("`lto = false`, 16 units", {"LTO": "false", "CODEGEN_UNITS": "16"}, None, [], "only a faster build"),
    ("the standard library built along, for size", {}, "nightly", STD, "needs the nightly toolchain and its `rust-src`"),
]


def stripped(path):
    copy = BUILD / "stripped"
    subprocess.run(["strip", "-o", copy, path], check=True)
    return copy.stat().st_size


def build(target, settings, toolchain, arguments):
    """Where the library is; None, if it cannot be built."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), **{PREFIX + name: value for name, value in settings.items()})
    command = ["cargo", *([f"+{toolchain}"] if toolchain else []), "rustc", "--quiet", "--release", "--locked", "--lib",
               "--crate-type", "cdylib,staticlib", *arguments, *LINKER]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout[-800:], file=sys.stderr, flush=True)
        return None
    return target / (HOST if "--target" in arguments else "") / "release"


def program(place):
    """The quick start in C, with the static library: what a program grows by."""
    out = BUILD / "quickstart"
    subprocess.run([os.environ.get("CC", "cc"), "-Os", ROOT / "examples-c" / "quickstart.c", f"-I{ROOT / 'include'}",
                    place / "libpondsocket.a", "-Wl,--gc-sections", "-lpthread", "-ldl", "-lm", "-o", out], check=True)
    return stripped(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs")
    parser.add_argument("--target-dir", type=pathlib.Path, help="builds there, and leaves it; else a folder of its own, removed at the end")
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    target = options.target_dir or BUILD / "target"
    rows, whole = [], 0
    for title, settings, toolchain, arguments, note in VARIANTS:
        place = build(target, settings, toolchain, arguments)
        if place is None:
            if not toolchain:
                sys.exit(f"sizes.py: no build of: {title}")
            rows.append((title, None, f"not built: {note}"))
            continue
        rows.append((title, stripped(place / "libpondsocket.so"), note))
        whole = whole or rows[0][1]
        if len(rows) == 1:
            rows.append(("the static library: the C quick start with it, `-Wl,--gc-sections`", program(place), "the whole program"))
        for name, size, _ in rows[-2 if len(rows) == 2 else -1:]:
            print(f"{size:>10,}  {name}", flush=True)
    lines = ["| stripped, with TLS | bytes | | |", "|---|--:|--:|---|"]
    for title, size, note in rows:
        numbers = f"{size:,} | {(size / whole - 1) * 100:+.1f} %" if size else "– | –"
        lines.append(f"| {title} | {numbers} | {note} |")
    page = options.docs / "performance.md"
    page.write_text(report.replace(page.read_text(), "sizes", "\n".join(lines)))
    if not options.target_dir:
        shutil.rmtree(target, ignore_errors=True)


if __name__ == "__main__":
    main()
