#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the shared library in its variants and writes their sizes to docs/performance.md. Each is a whole build: about 20 minutes."""

import os
import pathlib
import shutil
import subprocess
import sys

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sizes"
# What, by what setting of Cargo's, and what one loses.
VARIANTS = [
    ("as `make lib` builds it", {}, ""),
    ("`opt-level = \"z\"`", {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "z"}, "slower: loops and calls are no longer inlined"),
    ("`opt-level = 3`", {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "3"}, ""),
    ("`lto = false`", {"CARGO_PROFILE_RELEASE_LTO": "false"}, "only a faster build"),
]


def main():
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = []
    for title, settings, loss in VARIANTS:
        env = dict(os.environ, CARGO_TARGET_DIR=str(BUILD / "target"), **settings)
        done = subprocess.run(["cargo", "rustc", "--quiet", "--release", "--locked", "--lib", "--crate-type", "cdylib"], cwd=ROOT, env=env)
        if done.returncode != 0:
            sys.exit(f"sizes.py: no build of: {title}")
        library = BUILD / "stripped.so"
        subprocess.run(["strip", "-o", library, BUILD / "target" / "release" / "libpondsocket.so"], check=True)
        rows.append((title, library.stat().st_size, loss))
        print(f"{rows[-1][1]:>10,}  {title}", flush=True)
    whole = rows[0][1]
    lines = ["| the stripped shared library, with TLS | bytes | | what it costs |", "|---|--:|--:|---|"]
    lines += [f"| {title} | {size:,} | {(size / whole - 1) * 100:+.1f} % | {loss} |" for title, size, loss in rows]
    page = ROOT / "docs" / "performance.md"
    page.write_text(report.replace(page.read_text(), "sizes", "\n".join(lines)))
    shutil.rmtree(BUILD / "target", ignore_errors=True)


if __name__ == "__main__":
    main()
