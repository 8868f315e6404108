# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is left behind after many rounds: Python's memory, the process's, descriptors, threads."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
from conftest import Server, until

from pondsocket_native import Client, PondTimeoutError, _core
from pondsocket_native.compat import PondClient

ROUNDS = int(os.environ.get("POND_LEAK_ROUNDS", "200"))
TOKEN = {"token": "secret"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident() -> int:
    """Bytes of memory of the process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


async def one_round(url: str, number: int) -> None:
    """What a program does, and the ways in which it may forget to end it."""
    async with Client(url, TOKEN) as client:
        channel = await client.join(f"/chat/leak-{number}", {"username": "anna"})
        for n in range(20):
            assert (await channel.request("ping", {"n": n})).payload["n"] == n
        messages = channel.messages()
        channel.send("message", {"text": "x" * 1000})
        (await anext(messages)).payload
        with pytest.raises(PondTimeoutError):
            await channel.request("silent", timeout=0.001)
        channel.on("x", lambda message: None)()
    aborted = Client(url, TOKEN)
    await aborted.connect()
    await aborted.join("/chat/leak")
    aborted.abort()
    never = Client(url)
    never.channel("/x").send("y", {})
    del never
    old = PondClient(url, TOKEN)
    await old.connect()
    room = old.create_channel("/chat/leak", {"username": "bert"})
    room.on_users_change(lambda users: None)
    room.join()
    await room.send_for_response("ping")
    await old.disconnect()


async def rounds(url: str, count: int) -> None:
    for number in range(count):
        await one_round(url, number % 10)
    gc.collect()


def measure(url: str, count: int) -> tuple[int, int, int, int]:
    """After `count` rounds: traced bytes, resident bytes, descriptors, threads."""
    asyncio.run(rounds(url, count))
    gc.collect()
    assert _core.shutdown(5000)
    gc.collect()
    return tracemalloc.get_traced_memory()[0], resident(), descriptors(), threads()


def test_nothing_is_left_after_many_rounds(server: Server) -> None:
    tracemalloc.start()
    try:
        measure(server.url, 20)
        traced, memory, files, running = measure(server.url, 20)
        traced_after, memory_after, files_after, running_after = measure(server.url, ROUNDS)
    finally:
        tracemalloc.stop()
    assert files_after == files
    assert running_after == running == threading.active_count()
    assert traced_after - traced < 40 * ROUNDS, f"{(traced_after - traced) / ROUNDS:.0f} bytes a round"
    assert memory_after - memory < 10_000 * ROUNDS, f"{(memory_after - memory) / ROUNDS:.0f} bytes a round"


async def test_messages_are_freed(server: Server) -> None:
    async with Client(server.script) as client:
        channel = client.channel("/freed")
        frame = '{"action":"BROADCAST","channelName":"/freed","event":"n","requestId":"","payload":{"pad":"' + "x" * 2000 + '"}}'
        count = 0

        def cyclic(message: object) -> None:
            nonlocal count
            count += 1
            message.payload["self"] = message  # type: ignore[attr-defined]

        channel.on("n", cyclic)
        await channel.join()
        before = 0
        for turn in range(6):
            channel.send("raw", {"frames": [frame], "count": 5000})
            expected = 5000 * (turn + 1)
            await until(partial(lambda expected: count == expected, expected))
            gc.collect()
            if turn == 1:
                before = resident()
        assert resident() - before < 10 << 20
