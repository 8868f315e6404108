# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/interop.md from the runner's list and results: report.py LIST RESULTS."""

import json
import re
import sys

SERVERS = {
    "rust": "Rust",
    "python": "Python",
    "go": "Go",
    "js-legacy": "JavaScript 0.1.70",
    "js-replay": "JavaScript 0.1.219",
}
CLIENTS = {"python": "Python 0.0.6", "javascript": "JavaScript 0.0.32", "rust": "Rust 0.1.5"}

HEAD = """# Interoperability

Made by `tests/interop/run.sh`; do not edit. Each scenario is one function, driven through the public C API, against the
same small application on each server (`tests/interop/APP.md`). A cell is what was seen, in the words of the scenario.

- **Rust**, **Python**, **JavaScript 0.1.70** (the old dialect): the official server packages, live.
- **Go**: a stand-in of our own. The official Go module could not be had from the module proxy; the stand-in speaks what
  reading says of it, so its column is no evidence of the package itself.
- **JavaScript 0.1.219**: recorded frames, replayed. What was not recorded is empty.
"""


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def stable(seen):
    """Without what differs from run to run."""
    seen = re.sub(r"/chat/[a-z-]+-(\w+)-\d+", r"/chat/\1", seen)
    return re.sub(r"[\w+/]{22}==", "(id)", seen)


def cell(seen):
    return stable(seen).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def ours(scenarios, results):
    seen = {}
    rounds = {}
    for result in results:
        key = (result["id"], result["server"])
        seen[key] = result
        rounds.setdefault(key, []).append(result["ok"])
    servers = [name for name in SERVERS if any(server == name for _, server in seen)]
    notes = {}
    rows = []
    for scenario in scenarios:
        row = [f"`{scenario['scenario']}`<br>{cell(scenario['title'])}"]
        same = None
        for server in servers:
            result = seen.get((scenario["scenario"], server))
            if result is None:
                row.append("")
                continue
            text = cell(result["seen"])
            if result["reason"]:
                number = notes.setdefault((server, result["reason"]), len(notes) + 1)
                text = f"{text} [{number}]"
            elif same == text:
                text = "same"
            else:
                same = same or text
            ran = rounds[scenario["scenario"], server]
            if not all(ran):
                text = f"**{sum(not ok for ok in ran)} of {len(ran)} FAILED** {text}"
            row.append(text)
        rows.append(row)
    total = sum(map(len, rounds.values()))
    good = sum(sum(ran) for ran in rounds.values())
    yield ""
    yield f"## libpondsocket: {good} of {total} runs as expected, each scenario {max(map(len, rounds.values()), default=0)} times"
    yield ""
    yield from table(["scenario", *(SERVERS[name] for name in servers)], rows)
    yield ""
    yield "### Why servers differ"
    yield ""
    for (server, reason), number in notes.items():
        yield f"{number}. {SERVERS[server]}: {reason}."


def theirs(trials, results):
    clients = [name for name in CLIENTS if any(result["client"] == name for result in results)]
    if not clients:
        return
    yield ""
    yield "## The official clients on the same servers"
    yield ""
    yield (
        "Measured by running them, each trial in a process of its own that is ended after ten seconds. A cross marks what "
        "falls short of what libpondsocket shows above. A trial is left out where the client's API cannot express it, or "
        "where the server by its nature shows nothing. With JavaScript 0.1.70 only the trials up to the join are run: no "
        "official client gets beyond it. The official Go client is in the module that could not be had. Where the servers "
        "made no difference, the cell says it once. Pings every second and a connect timeout of two seconds are asked for "
        "where there is such an option."
    )
    yield ""
    rows = []
    for trial in trials:
        row = [f"`{trial['trial']}`", cell(trial["title"])]
        for client in clients:
            by_text = {}
            for result in results:
                if result["client"] == client and result["id"] == trial["trial"]:
                    text = ("" if result["ok"] else "✗ ") + cell(result["seen"])
                    by_text.setdefault(text, []).append(SERVERS[result["server"]])
            if len(by_text) == 1:
                row.append(next(iter(by_text)))
            else:
                row.append("<br>".join(f"{', '.join(names)}: {text}" for text, names in by_text.items()))
        rows.append(row)
    yield from table(["trial", "should be", *(CLIENTS[name] for name in clients)], rows)


def covered(topics, scenarios):
    yield ""
    yield "## What is covered"
    yield ""
    yield "Ways in which servers differ (A) and faults that clients have shown (B). Server-sent events are out of scope."
    yield ""
    rows = []
    for topic in topics:
        ids = [f"`{s['scenario']}`" for s in scenarios if topic["topic"] in s["covers"].split()]
        rows.append([topic["topic"], topic["text"], ", ".join(ids)])
    yield from table(["", "topic", "scenarios"], rows)


def main():
    listed, results = read(sys.argv[1]), read(sys.argv[2])
    scenarios = [line for line in listed if "scenario" in line]
    topics = [line for line in listed if "topic" in line]
    trials = [line for line in listed if "trial" in line]
    print(HEAD, end="")
    for line in ours(scenarios, [r for r in results if not r.get("client")]):
        print(line)
    for line in theirs(trials, [r for r in results if r.get("client")]):
        print(line)
    for line in covered(topics, scenarios):
        print(line)


main()
