# SPDX-License-Identifier: GPL-3.0-or-later
"""The official Python client, as its users drive it: MODE URL N KIND CHANNELS, modes as bench/README.md says."""

import asyncio
import json
import logging
import os
import re
import resource
import sys
import time

from pondsocket_client import ClientOptions, PondClient

MODE, URL, COUNT, KIND, CHANNELS = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])


def resident_kib():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+)", status.read())[1])


def cpu_us():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int((usage.ru_utime + usage.ru_stime) * 1e6)


def finish(**result):
    print(json.dumps(result), flush=True)
    os._exit(0)


async def join(channels):
    client = PondClient(URL, {}, ClientOptions())
    await client.connect()
    made, joined = [], []
    for number in range(channels):
        channel = client.create_channel(f"/room/{number:02}", {})
        event = asyncio.Event()
        channel.on_channel_state_change(lambda state, event=event: state.value == "JOINED" and event.set())
        channel.join()
        made.append(channel)
        joined.append(event.wait())
    await asyncio.gather(*joined)
    return client, made


class Bench:
    def __init__(self):
        self.received, self.in_order, self.over = 0, True, asyncio.Event()

    def saw(self, number):
        self.in_order = self.in_order and int(number) == self.received
        self.received += 1
        if self.received == COUNT:
            self.over.set()

    def on_message(self, message):
        if message.event == "end":
            self.over.set()
        elif message.event == "done":
            self.received, self.in_order = message.payload["received"], message.payload["in_order"]
            self.over.set()
        elif MODE == "flood":
            self.saw(message.payload["n"])

    def on_presence(self, payload):
        self.saw(dict(payload.changed)["n"])

    async def ask(self, channel, numbers):
        for number in numbers:
            reply = await channel.send_for_response("ask", {"n": f"{number:08}"})
            self.in_order = self.in_order and int(reply["n"]) == number
            self.received += 1


async def main():
    logging.disable(logging.CRITICAL)
    if MODE == "idle":
        before = resident_kib()
        kept = [await join(1) for _ in range(COUNT)]
        finish(connections=len(kept), rss_kib=resident_kib() - before)
    client, channels = await join(CHANNELS)
    if MODE == "start":
        finish(joined_us=(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - int(os.environ["BENCH_STARTED_NS"])) // 1000)
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
    finish(
        received=bench.received,
        in_order=bench.in_order,
        cpu_us=cpu_us() - cpu,
        wall_us=(time.monotonic_ns() - wall) // 1000,
        max_rss_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


asyncio.run(main())
