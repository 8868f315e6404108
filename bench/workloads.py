# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, and how far it should reach."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Workload:
    id: str
    title: str
    mode: str
    kind: str = "small"
    channels: int = 1
    order: str = "js"
    # cpu: CPU time per message; wall: wall time per message; idle: KiB per connection; start: ms from exec to joined.
    metric: str = "cpu"
    # apart: server and client have a core each; together: both the client's.
    pinned: str = "apart"
    # The bare client does the same under this mode, where it has no such variant.
    base_mode: str = ""
    count: int = 0
    secure: bool = False
    quick: bool = False
    # Which contestants take part; empty = all that can.
    only: tuple = ()
    # Target and aim as ratios to bare (idle: KiB), by variant; "pond" = every way of ours not named.
    targets: dict = field(default_factory=dict)


PULLS = {"pond-next": (1.6, 1.1), "pond-many": (1.6, 1.1), "pond-dispatch": (1.6, 1.1), "pond-push": (2.0, None)}
HEAVY = {"pond": (3.5, 2.5)}
LATENCY = {"pond-call": (1.10, None), "pond-push": (1.25, None)}
FAST = ("bare", "bare-lto", "tcp", "serde", "pond-push", "pond-next", "pond-many", "pond-dispatch")

WORKLOADS = [
    Workload("small", "200 B broadcast, 1 channel", "flood", quick=True, targets=PULLS),
    Workload("small-64", "200 B broadcast, 64 channels", "flood", channels=64, quick=True, targets=PULLS),
    Workload("small-python", "200 B broadcast, key order of the Python server", "flood", order="python", only=FAST, targets=PULLS),
    Workload("small-rust", "200 B broadcast, key order of the Rust and Go servers", "flood", order="rust", only=FAST, targets=PULLS),
    Workload("dense", "4 KB, dense JSON", "flood", "dense", quick=True, targets=HEAVY),
    Workload("text", "4 KB, one text, not ASCII", "flood", "text", quick=True, targets=HEAVY),
    Workload("presence", "presence, 1,000 users, 104 KB", "flood", "presence", quick=True, targets=HEAVY),
    Workload("ask64", "64 requests in flight", "ask64", quick=True, targets={"pond": (1.3, None)}),
    Workload("ask1", "one request at a time, a core each", "ask1", metric="wall", quick=True, targets=LATENCY),
    # Beside it, without a target: what a switch of threads costs where nothing else hides it.
    Workload("ask1-together", "one request at a time, on one core", "ask1", metric="wall", pinned="together"),
    Workload("put", "send 100 B, 1 thread", "put", quick=True, targets={"pond": (1.4, None)}),
    Workload("put4", "send 100 B, 4 threads on one client", "put4", base_mode="put", quick=True,
             # No collapse: at most twice what one thread may cost.
             targets={"pond": (2.8, None)}),
    Workload("idle-1000", "idle, joined, 1,000 connections", "idle", metric="idle", count=1000, quick=True, targets={"pond": (8, None)}),
    Workload("idle-5000", "idle, joined, 5,000 connections", "idle", metric="idle", count=5000,
             only=("bare", "bare-lto", "tcp", "lws", "pond-push", "pond-next"), targets={"pond": (8, None)}),
    Workload("idle-wss", "idle, joined, wss, 1,000 connections", "idle", metric="idle", count=1000, secure=True,
             only=("pond-push", "pond-next")),
    Workload("start", "process start to joined", "start", metric="start", count=1, targets={"pond": (1.5, None)}),
]

# Our binding, what it stands in for, by how much cheaper a 200 B broadcast should be. The official Go client could not be had:
# gorilla/websocket, as one would write it by hand, stands for it.
RIVALS = [
    ("binding-python-raw", "python", 8),
    ("binding-python-parsed", "python", 3),
    ("binding-python-iterate", "python", None),
    ("go-binding", "go-plain", 2),
    ("go-binding-parsed", "go-plain-parsed", None),
    ("pond-push", "rust", None),
    ("pond-push", "lws", None),
]


def target(workload, variant):
    """(limit, aim) of that contestant, or None."""
    if not variant.startswith("pond"):
        return None
    return workload.targets.get(variant) or workload.targets.get("pond")
