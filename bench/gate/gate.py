#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instructions per message of a commit and of this tree, counted by callgrind: fails where this tree costs 5 % more.

    gate.py BASE               this tree (tracked files, also uncommitted) against the commit BASE
    gate.py BASE --end-to-end  also a flood through the shared library, with the C program of bench/ (two more builds)
    gate.py --self-test        this tree against itself passes; against itself with a slow-down sown in it fails

Both are built in the same run, from trees of their own under build/gate, with their own release profile. The count of one message is the
difference of two runs of different length, so starting up is not in it. Under callgrind every processor looks alike, so both use the
same SIMD level.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "gate"
ALLOWED = 1.05
# Work, and the lengths of the two runs.
WORK = {"small": (500, 2500), "dense": (100, 500), "text": (100, 500), "presence": (10, 40), "send": (500, 2500), "ask": (500, 2500),
        "words": (500, 2500)}
FLOOD = (5_000, 30_000)


def run(*command, cwd=ROOT, env=None):
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"gate.py: {' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def check_out(commit, name):
    """A tree of that commit, with the driver of this one in it."""
    tree = BUILD / name
    subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)
    shutil.rmtree(tree, ignore_errors=True)
    run("git", "worktree", "prune")
    run("git", "worktree", "add", "--detach", tree, commit)
    place_driver(tree, HERE / "drive.rs")
    # The driver needs no other form of the library: one build less.
    manifest = tree / "Cargo.toml"
    manifest.write_text(re.sub(r"crate-type = \[.*\]", 'crate-type = ["rlib"]', manifest.read_text()))
    return tree


def place_driver(tree, source):
    """As a program of the package: its release profile holds, and no development dependency is built."""
    (tree / "src" / "bin").mkdir(exist_ok=True)
    shutil.copy(source, tree / "src" / "bin" / "gate_drive.rs")


def cargo(tree, *arguments, may_fail=False):
    env = dict(os.environ, CARGO_TARGET_DIR=str(BUILD / "target"))
    command = ["cargo", *arguments]
    done = subprocess.run(command, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"gate.py: {' '.join(command)} in {tree.name} failed:\n{done.stdout[-3000:]}")
    return done.returncode == 0


def build(tree, name, end_to_end):
    """The driver, and the library if asked for."""
    arguments = ("build", "--quiet", "--release", "--locked", "--bin", "gate_drive")
    if not cargo(tree, *arguments, may_fail=True):
        # The floors' functions have changed since: that commit's own driver knows its own.
        own = tree / "bench" / "gate" / "drive.rs"
        if not own.exists():
            sys.exit(f"gate.py: the driver does not build with {name}, and {name} has none of its own")
        place_driver(tree, own)
        cargo(tree, *arguments)
    driver = BUILD / f"drive-{name}"
    shutil.copy(BUILD / "target" / "release" / "gate_drive", driver)
    library = None
    if end_to_end:
        cargo(tree, "rustc", "--quiet", "--release", "--locked", "--lib", "--crate-type", "cdylib")
        library = BUILD / f"lib-{name}"
        library.mkdir(exist_ok=True)
        shutil.copy(BUILD / "target" / "release" / "libpondsocket.so", library)
        run("sh", "-c", '${CC:-cc} -O2 -std=gnu11 "$1" -I"$2" -L"$3" -lpondsocket -lpthread -o "$3/pond"', "sh",
            ROOT / "bench" / "contestants" / "c" / "pond.c", tree / "include", library)
        # The name that the loader looks for, if the library has one of its own.
        for soname in re.findall(r"SONAME.*\[(.*)\]", run("readelf", "-d", library / "libpondsocket.so")):
            if soname != "libpondsocket.so":
                (library / soname).unlink(missing_ok=True)
                (library / soname).symlink_to("libpondsocket.so")
    return driver, library


def instructions(command, env=None):
    """What callgrind collects of one run."""
    text = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command, env=env)
    return int(re.search(r"Collected : (\d+)", text)[1])


def per_message(command, lengths, env=None):
    short, long = (instructions(command(length), env) for length in lengths)
    return (long - short) / (lengths[1] - lengths[0])


class Server:
    """The server of bench/, outside of callgrind."""

    def __enter__(self):
        import json
        target = ROOT / "build" / "bench" / "target"
        env = dict(os.environ, CARGO_TARGET_DIR=str(target))
        run("cargo", "build", "--quiet", "--release", "--locked", "-p", "bench-server", cwd=ROOT / "bench", env=env)
        self.process = subprocess.Popen([target / "release" / "bench-server"], stdout=subprocess.PIPE, text=True)
        return json.loads(self.process.stdout.readline())["ws"]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def flood(library, url):
    env = dict(os.environ, LD_LIBRARY_PATH=str(library))
    command = lambda count: (library / "pond", "many", "flood", f"{url}/small/{count}/1/js", count, "small", 1)
    return per_message(command, FLOOD, env)


def compare(base, head, end_to_end):
    """Prints a line for each kind of work; how many cost too much."""
    rows = []
    for work, lengths in WORK.items():
        old, new = (per_message(lambda count: (driver, work, count), lengths) for driver in (base[0], head[0]))
        rows.append((work, old, new, ALLOWED))
    if end_to_end:
        with Server() as url:
            # How much one read takes in is not the same each time: the better of three.
            old, new = (min(flood(library, url) for _ in range(3)) for library in (base[1], head[1]))
        rows.append(("flood (C)", old, new, ALLOWED))
    failed = 0
    print(f"{'work':12}{'base':>14}{'head':>14}   instructions per message")
    for work, old, new, allowed in rows:
        bad = new > old * allowed
        failed += bad
        print(f"{work:12}{old:14.0f}{new:14.0f}   {(new / old - 1) * 100:+.1f} %{'  TOO MUCH' if bad else ''}")
    return failed


def sow(tree):
    """A slow-down: each byte of a frame is looked at once more."""
    for path in sorted((tree / "src" / "session").glob("*.rs")):
        text = path.read_text()
        found = re.search(r"pub fn text_frame\(&mut self, (\w+): &str[^{]*\{\n", text)
        if found:
            line = f"        for byte in {found[1]}.bytes() {{ std::hint::black_box(byte); }}\n"
            path.write_text(text[: found.end()] + line + text[found.end():])
            return
    sys.exit("gate.py: no place for the slow-down: text_frame has changed")


def here():
    """This tree as a commit, uncommitted changes of tracked files included."""
    return run("git", "stash", "create").strip() or run("git", "rev-parse", "HEAD").strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?")
    parser.add_argument("--end-to-end", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if not options.base and not options.self_test:
        parser.error("BASE is missing")
    if not shutil.which("valgrind"):
        sys.exit("gate.py: valgrind is missing: tools/setup.sh bench installs it")
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        if options.self_test:
            head = build(check_out(here(), "head"), "head", False)
            slow_tree = check_out(here(), "slow")
            sow(slow_tree)
            slow = build(slow_tree, "slow", False)
            same, slower = compare(head, head, False), compare(head, slow, False)
            print(f"self-test: against itself {same} failed, with the slow-down {slower} failed")
            sys.exit(0 if same == 0 and slower > 0 else 1)
        base = build(check_out(options.base, "base"), "base", options.end_to_end)
        head = build(check_out(here(), "head"), "head", options.end_to_end)
        failed = compare(base, head, options.end_to_end)
        print(f"gate: {failed} kinds of work cost more than {(ALLOWED - 1) * 100:.0f} % more")
        sys.exit(1 if failed else 0)
    finally:
        for name in ("base", "head", "slow"):
            subprocess.run(["git", "worktree", "remove", "--force", str(BUILD / name)], cwd=ROOT, capture_output=True)


if __name__ == "__main__":
    main()
