# SPDX-License-Identifier: GPL-3.0-or-later
"""This binding as a contestant: HOW MODE URL N KIND CHANNELS, modes as bench/README.md says.

HOW is `raw` or `parsed`, which use the drop-in, or `iterate`, which uses the asyncio client.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pondsocket_native import Client, Message
from pondsocket_native import Channel as NativeChannel
from pondsocket_native.compat import Channel, ClientOptions, PondClient, PresencePayload

HOW, MODE, URL, KIND = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[5]
COUNT, CHANNELS = int(sys.argv[4]), int(sys.argv[6])
# {"n":"00000000", whatever follows.
NUMBER = slice(6, 14)


def resident_kib() -> int:
    found = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) if found else 0


def cpu_us() -> int:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e6)


def finish(**result: object) -> NoReturn:
    print(json.dumps(result), flush=True)
    os._exit(0)


async def join(channels: int) -> tuple[PondClient, list[Channel]]:
    client = PondClient(URL, {}, ClientOptions())
    await client.connect()
    made, joined = [], []
    for number in range(channels):
        channel = client.create_channel(f"/room/{number:02}", {})
        event = asyncio.Event()
        channel.on_channel_state_change(partial(joins, event))
        channel.join()
        made.append(channel)
        joined.append(event.wait())
    await asyncio.gather(*joined)
    return client, made


def joins(event: asyncio.Event, state: str) -> None:
    if state == "JOINED":
        event.set()


class Bench:
    def __init__(self) -> None:
        self.received, self.in_order, self.over = 0, True, asyncio.Event()
        # One task for each channel takes them in no order among the channels: then each channel has its own.
        self.strands = CHANNELS if HOW == "iterate" else 1
        self.next = list(range(self.strands))

    def saw(self, number: str | bytes) -> None:
        at = int(number)
        strand = at % self.strands
        self.in_order = self.in_order and self.next[strand] == at
        self.next[strand] = at + self.strands
        self.received += 1
        if self.received == COUNT:
            self.over.set()

    def on_message(self, message: Message) -> None:
        event = message.event
        if event == "end":
            self.over.set()
        elif event == "done":
            self.received, self.in_order = message.payload["received"], message.payload["in_order"]
            self.over.set()
        elif MODE == "flood":
            self.saw(message.payload["n"] if HOW == "parsed" else message.raw[NUMBER])

    def on_presence(self, payload: PresencePayload) -> None:
        self.saw(payload.changed["n"])

    async def ask(self, channel: Channel, numbers: Iterator[int]) -> None:
        for number in numbers:
            reply = await channel.send_for_response("ask", {"n": f"{number:08}"})
            self.in_order = self.in_order and int(reply["n"]) == number
            self.received += 1

    async def iterate(self, channel: NativeChannel) -> None:
        async for message in channel:
            # The end on one channel says nothing of the others; what is lost is seen by the runner's patience.
            if message.event != "end":
                self.on_message(message)


def result(bench: Bench, cpu: int, wall: int) -> NoReturn:
    finish(
        received=bench.received,
        in_order=bench.in_order,
        cpu_us=cpu_us() - cpu,
        wall_us=(time.monotonic_ns() - wall) // 1000,
        max_rss_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


async def flood_of_the_asyncio_client() -> NoReturn:
    bench = Bench()
    async with Client(URL) as client:
        channels = [await client.join(f"/room/{number:02}") for number in range(CHANNELS)]
        cpu, wall = cpu_us(), time.monotonic_ns()
        tasks = [asyncio.create_task(bench.iterate(channel)) for channel in channels]
        for channel in channels:
            channel.on_presence(lambda presence: bench.saw(presence.changed["n"]))
        channels[0].send("go")
        await bench.over.wait()
        result(bench, cpu, wall)
        del tasks


async def main() -> None:
    if MODE == "idle":
        before = resident_kib()
        kept: list[Any] = [await join(1) for _ in range(COUNT)]
        finish(connections=len(kept), rss_kib=resident_kib() - before)
    if HOW == "iterate":
        await flood_of_the_asyncio_client()
    client, channels = await join(CHANNELS)
    if MODE == "start":
        started = int(os.environ["BENCH_STARTED_NS"])
        finish(joined_us=(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - started) // 1000)
    bench = Bench()
    for channel in channels:
        channel.on_message(bench.on_message)
        channel.on_presence_change(bench.on_presence)
    cpu, wall = cpu_us(), time.monotonic_ns()
    if MODE == "flood":
        channels[0].send_message("go", {})
        await bench.over.wait()
    elif MODE in ("ask1", "ask64"):
        numbers = iter(range(COUNT))
        await asyncio.gather(*(bench.ask(channels[0], numbers) for _ in range(64 if MODE == "ask64" else 1)))
    elif MODE == "put":
        for number in range(COUNT):
            channels[0].send_message("put", {"n": f"{number:08}", "t": "0", "x": "a" * 69})
            if number % 100 == 99:
                await asyncio.sleep(0)
        await bench.over.wait()
    result(bench, cpu, wall)


asyncio.run(main())
