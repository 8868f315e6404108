#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures all contestants against one server, in turns: see bench/README.md."""

import argparse
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import report
from workloads import WORKLOADS, target

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "bench"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", BUILD / "target"))
QUICK = ("bare", "bare-lto", "serde", "pond-push", "pond-next", "pond-many", "pond-dispatch", "pond-call")
# Seconds until a contestant counts as stuck, and how often one may fail at a workload before it is left out.
LIMIT, IDLE_LIMIT, SETUP_LIMIT = 30, 180, 1800
PATIENCE = 2
NEEDED = {"idle": {"connections", "rss_kib"}, "start": {"joined_us"}}
RESULT = {"received", "in_order", "cpu_us", "wall_us"}


def say(text):
    print(text, flush=True)


class Server:
    """The synthetic server; its lines about ended connections are kept."""

    def __init__(self, core):
        # Of its own: another run would write its authority over ours.
        self.tls = tempfile.TemporaryDirectory(prefix="tls-", dir=BUILD)
        command = [str(TARGET / "release" / "bench-server"), "--tls-dir", self.tls.name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.urls = json.loads(self.process.stdout.readline())
        self.pin(core)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def pin(self, core):
        os.sched_setaffinity(self.process.pid, {core})

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.tls.cleanup()


class Contestant:
    def __init__(self, folder, name, variant, places):
        self.name, self.title, self.modes = name, variant["title"], variant["modes"]
        self.command = [filled(part, places) for part in variant["command"]]
        self.wss, self.folder = variant.get("wss", False), folder

    def can(self, workload):
        if workload.only and self.name not in workload.only:
            return False
        return workload.mode in self.modes or (self.name.startswith("bare") and workload.base_mode in self.modes)


def contestants(names, libdir, include):
    """Sets up what is asked for; what cannot be is told."""
    found, missing = [], {}
    # The ones of the bindings lie beside them.
    folders = sorted(HERE.glob("contestants/*/contestant.json")) + sorted(ROOT.glob("bindings/*/bench/contestant.json"))
    for path in folders:
        description = json.loads(path.read_text())
        places = {"here": path.parent, "build": BUILD, "target": TARGET, "libdir": libdir, "include": include, "root": ROOT}
        wanted = {name: v for name, v in description["variants"].items() if not names or name in names}
        if not wanted:
            continue
        setup = [filled(part, places) for part in description["setup"]]
        env = dict(os.environ, CARGO_TARGET_DIR=str(TARGET))
        try:
            done = subprocess.run(setup, cwd=path.parent, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=SETUP_LIMIT)
            why = done.stdout.strip()[-400:] if done.returncode != 0 else None
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
        if why is not None:
            missing.update((name, why) for name in wanted)
            continue
        found += [Contestant(path.parent, name, variant, places) for name, variant in wanted.items()]
    return found, missing


def filled(part, places):
    """Puts the places in; other braces stay."""
    for name, place in places.items():
        part = part.replace("{%s}" % name, str(place))
    return part


class Runner:
    def __init__(self, options, found):
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = cores[0], cores[-1]
        self.options, self.contestants = options, found
        self.server = Server(self.server_core)
        self.counts = {}

    def trial(self, workload, contestant, count):
        """One process, one result; None and why, if there is none."""
        mode = workload.mode if workload.mode in contestant.modes else workload.base_mode
        base = self.server.urls["wss" if workload.secure else "ws"]
        url = f"{base}/{workload.kind}/{count}/{workload.channels}/{workload.order}"
        command = [*contestant.command, mode, url, str(count), workload.kind, str(workload.channels)]
        core = self.client_core
        self.server.pin(core if workload.pinned == "together" else self.server_core)
        env = dict(os.environ, BENCH_STARTED_NS=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC)))
        if workload.secure:
            env["BENCH_CA"] = os.path.join(self.server.tls.name, "ca.pem")
        limit = IDLE_LIMIT if workload.metric == "idle" else LIMIT
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=limit,
                                  cwd=contestant.folder, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        except subprocess.TimeoutExpired:
            return None, f"not over in {limit} s"
        except OSError as error:
            return None, str(error)
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0 or not lines:
            return None, (done.stderr.strip() or f"status {done.returncode}, no result")[-300:]
        try:
            result = json.loads(lines[-1])
            if not NEEDED.get(workload.metric, RESULT) <= result.keys():
                raise ValueError
        except (ValueError, AttributeError):
            return None, f"no result: {lines[-1][:200]}"
        return result, ""

    def count(self, workload, contestant):
        """How many messages take about as long as asked for."""
        if workload.count:
            return workload.count, ""
        key = "wall_us" if workload.metric == "wall" else "cpu_us"
        # Every channel, and every thread, gets as many.
        step = max(workload.channels, 4)
        count, aim = 4 * max(64, workload.channels), self.options.seconds * 1e6
        while True:
            result, why = self.trial(workload, contestant, count)
            if result is None:
                return 0, why
            spent = max(result[key], 1)
            if spent >= aim / 8 or count >= 5_000_000:
                break
            count = min(int(count * min(max(aim / 4 / spent, 2), 30)), 5_000_000) // step * step
        return max(min(int(count * aim / spent), 9_000_000) // step, 16) * step, ""

    def measure(self, workload):
        takers = [c for c in self.contestants if c.can(workload)]
        rows, failures, counts, failed = {c.name: [] for c in takers}, {}, {}, dict.fromkeys((c.name for c in takers), 0)
        load = [os.getloadavg()[0]]
        for contestant in takers:
            counts[contestant.name], why = self.count(workload, contestant)
            if why:
                failures[contestant.name] = why
        first_line = len(self.server.lines)
        rounds = self.options.rounds
        if workload.metric == "idle":
            rounds = min(rounds, 2 if self.options.quick else 3)
        for number in range(rounds):
            shift = number % max(len(takers), 1)
            this_round = {}
            for contestant in takers[shift:] + takers[:shift]:
                name = contestant.name
                if not counts[name] or failed[name] >= PATIENCE:
                    continue
                result, why = self.trial(workload, contestant, counts[name])
                if result is None:
                    failures[name] = why
                    failed[name] += 1
                    continue
                this_round[name] = dict(result, round=number, count=counts[name], value=value(workload, result))
            # What each is compared with stands in its own row, so that rows of several runs may stand beside each other.
            base = this_round.get("bare")
            for name, row in this_round.items():
                if base and base["value"]:
                    row["ratio"] = row["value"] / base["value"]
                    if base.get("received") and "wall_us" in row:
                        row["speed"] = speed(row) / speed(base)
                rows[name].append(row)
        load.append(os.getloadavg()[0])
        time.sleep(0.05)
        busy = [line["cpu_us"] / max(line["messages"], 1) for line in self.server.lines[first_line:]]
        return {
            "workload": workload.id,
            "load": load,
            "server_us": statistics.median(busy) if busy else None,
            "rows": rows,
            "failures": failures,
        }


def speed(row):
    return row["received"] / max(row["wall_us"], 1)


def value(workload, result):
    """Microseconds per message; KiB per connection; ms until joined."""
    if workload.metric == "idle":
        return result["rss_kib"] / result["connections"]
    if workload.metric == "start":
        return result["joined_us"] / 1000
    return result["wall_us" if workload.metric == "wall" else "cpu_us"] / max(result["received"], 1)


def merged(old, new, names):
    """The old results with the new ones in their place: whole workloads, or these contestants of them."""
    for result in new["workloads"]:
        before = next((w for w in old["workloads"] if w["workload"] == result["workload"]), None)
        if before is None:
            old["workloads"].append(result)
        elif not names:
            before.clear()
            before.update(result)
        else:
            for name in names:
                before["failures"].pop(name, None)
                for part in ("rows", "failures"):
                    if name in result[part]:
                        before[part][name] = result[part][name]
    place = {workload.id: number for number, workload in enumerate(WORKLOADS)}
    old["workloads"].sort(key=lambda w: place.get(w["workload"], len(place)))
    old["titles"].update(new["titles"])
    old["missing"] = sorted((set(old["missing"]) - set(new["titles"])) | (set(new["missing"]) - set(old["titles"])))
    old["repeated"] = sorted(set(old.get("repeated", [])) | {w["workload"] for w in new["workloads"]})
    old["minutes"] += new["minutes"]
    for part in ("machine", "date"):
        old[part] = new[part]
    return old


def machine(libdir):
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    library = next((p for p in (libdir / "libpondsocket.so", libdir / "libpondsocket.dylib") if p.exists()), None)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "rustc": subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split("(")[0].strip(),
        "commit": commit,
        "library_bytes": library.stat().st_size if library else 0,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", type=pathlib.Path, default=ROOT / "target" / "release", help="where libpondsocket is")
    parser.add_argument("--include", type=pathlib.Path, default=ROOT / "include")
    parser.add_argument("--quick", action="store_true", help="two minutes: ours beside bare, fewer workloads, no page")
    parser.add_argument("--rounds", type=int, default=0, help="how often each (5, quick: 3)")
    parser.add_argument("--seconds", type=float, default=0, help="CPU time of one measure (0.4, quick: 0.12)")
    parser.add_argument("--contestants", default="", help="names, by comma; the bare client comes along")
    parser.add_argument("--workloads", default="", help="ids, by comma")
    parser.add_argument("--merge", action="store_true",
                        help="put what is measured into the last results, in the place of the same workloads (and contestants, if named)")
    parser.add_argument("--write", action="store_true", help="write performance.md and .svg")
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs", help="where the page is that is written")
    parser.add_argument("--results", type=pathlib.Path, default=BUILD / "results.json", help="where the raw results are")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (0.12 if options.quick else 0.4)
    options.lib = options.lib.resolve()
    if not any((options.lib / f"libpondsocket.{end}").exists() for end in ("so", "dylib")):
        sys.exit(f"run.py: no libpondsocket in {options.lib}: build it first, with make lib")
    ids = [name for name in options.workloads.split(",") if name]
    if unknown := set(ids) - {w.id for w in WORKLOADS}:
        sys.exit(f"run.py: no such workloads: {', '.join(sorted(unknown))}; there are {', '.join(w.id for w in WORKLOADS)}")
    chosen = [w for w in WORKLOADS if (w.id in ids if ids else w.quick or not options.quick)]
    before = json.loads(options.results.read_text()) if options.merge else None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    BUILD.mkdir(parents=True, exist_ok=True)

    env = dict(os.environ, CARGO_TARGET_DIR=str(TARGET))
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "bench-server"], cwd=HERE, env=env, check=True)
    named = [name for name in options.contestants.split(",") if name]
    names = ["bare", *named] if named else list(QUICK) if options.quick else []
    found, missing = contestants(names, options.lib, options.include.resolve())
    found.sort(key=lambda contestant: not contestant.name.startswith("bare"))
    if unknown := set(names) - {c.name for c in found} - set(missing):
        sys.exit(f"run.py: no such contestants: {', '.join(sorted(unknown))}")
    for name, why in missing.items():
        say(f"NOT SET UP: {name}: {why}")

    started = time.time()
    runner = Runner(options, found)
    results = {"machine": machine(options.lib), "rounds": options.rounds, "seconds": options.seconds, "quick": options.quick,
               "date": time.strftime("%Y-%m-%d", time.gmtime(started)), "minutes": 0,
               "cores": [runner.server_core, runner.client_core], "missing": sorted(missing),
               "titles": {c.name: c.title for c in found}, "workloads": []}
    try:
        for workload in chosen:
            result = runner.measure(workload)
            results["workloads"].append(result)
            results["minutes"] = (time.time() - started) / 60
            say(report.workload_text(workload, result))
            if not options.merge:
                # After each: what was measured is not lost with what was not.
                options.results.write_text(json.dumps(results))
    finally:
        runner.server.stop()
    failed = [f"{r['workload']}: {name}: {why}" for r in results["workloads"] for name, why in r["failures"].items()]
    wrong = [f"{r['workload']}: {name}" for r in results["workloads"] for name, rows in r["rows"].items() for row in rows
             if report.ours(name) and "received" in row and (row["received"] != row["count"] or not row["in_order"])]
    if before:
        results = merged(before, results, named)
        options.results.write_text(json.dumps(results))
    say(report.overview(results))
    if options.write:
        report.write_page(options.docs, results)
    for line in failed:
        say(f"FAILED: {line}")
    for line in wrong:
        say(f"LOST OR REORDERED BY OURS: {line}")
    say(f"{results['minutes']:.1f} minutes")
    if missing and os.environ.get("CI") == "true":
        sys.exit(1)
    sys.exit(1 if wrong or any(": pond" in line or ": bare" in line for line in failed) else 0)


if __name__ == "__main__":
    main()
