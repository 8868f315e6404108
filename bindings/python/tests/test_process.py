# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: how they end, forks, threads with loops of their own; each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from conftest import Server

PRELUDE = """
import asyncio, logging, os, sys, threading
from pondsocket_native import *
from pondsocket_native.compat import PondClient
url = sys.argv[1]
TOKEN = {"token": "secret"}
# On a busy machine every step is slow; that is no news.
logging.getLogger("asyncio").setLevel(logging.ERROR)
"""


def run(program: str, url: str) -> str:
    """What the program prints; it must end by itself, with status 0 and nothing on standard error."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PRELUDE + textwrap.dedent(program), url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


EXITS = {
    "connected, in the middle of asyncio.run": """
        async def main():
            client = Client(url, TOKEN)
            await client.connect()
            channel = await client.join("/chat/exit")
            print("there", flush=True)
            sys.exit(0)
        asyncio.run(main())
    """,
    "a client that outlives its loop": """
        client = Client(url, TOKEN)
        async def main():
            await client.connect()
            await client.join("/chat/exit")
            print("there", flush=True)
        asyncio.run(main())
    """,
    "a drop-in client that outlives its loop": """
        client = PondClient(url, TOKEN)
        async def main():
            await client.connect()
            client.create_channel("/chat/exit").join()
            print("there", flush=True)
        asyncio.run(main())
    """,
    "during a dial": """
        client = Client("ws://192.0.2.1:9/")
        async def main():
            dialling = asyncio.create_task(client.connect())
            await asyncio.sleep(0.05)
            print("there", flush=True)
            dialling.cancel()
        asyncio.run(main())
    """,
    "with requests under way and messages waiting": """
        async def main():
            client = Client(url, TOKEN)
            await client.connect()
            channel = await client.join("/chat/exit")
            tasks = [asyncio.create_task(channel.request("silent")) for _ in range(10)]
            for _ in range(1000):
                try:
                    channel.send("message", {"pad": "x" * 1000})
                except QueueFullError:
                    break
            await asyncio.sleep(0.01)
            print("there", flush=True)
        asyncio.run(main())
    """,
    "with a client in a thread that still runs": """
        ready = threading.Event()
        async def work():
            client = Client(url, TOKEN)
            await client.connect()
            channel = await client.join("/chat/exit")
            ready.set()
            async for message in channel:
                pass
        threading.Thread(target=lambda: asyncio.run(work()), daemon=True).start()
        assert ready.wait(20)
        print("there", flush=True)
    """,
    "on uvloop": """
        import uvloop
        async def main():
            client = Client(url, TOKEN)
            await client.connect()
            print("there", flush=True)
        uvloop.run(main())
    """,
}


@pytest.mark.parametrize("name", list(EXITS))
def test_a_clean_exit(server: Server, name: str) -> None:
    assert run(EXITS[name], server.url) == "there\n"


@pytest.mark.parametrize("reader", [True, False])
def test_a_keyboard_interrupt_in_a_handler_loses_nothing(server: Server, reader: bool) -> None:
    program = """
        class NoReader(asyncio.SelectorEventLoop):
            def add_reader(self, fd, callback, *args):
                raise NotImplementedError
        factory = FACTORY
        async def main():
            client = Client(url)
            channel = client.channel("/k")
            heard = []
            def handler(message):
                heard.append(message.name)
                if message.name == "m10":
                    raise KeyboardInterrupt
            channel.on_message(handler)
            await client.connect()
            await channel.join()
            frame = '{"action":"BROADCAST","channelName":"/k","event":"m%d","requestId":"","payload":{}}'
            channel.send("raw", {"frames": [frame % n for n in range(100)]})
            try:
                while len(heard) < 100:
                    await asyncio.sleep(0.01)
            finally:
                print(len(heard) >= 11)
                await client.close()
                print(heard == [f"m{n}" for n in range(100)] or heard == [f"m{n}" for n in range(len(heard))])
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """.replace("FACTORY", "None" if reader else "NoReader")
    assert run(program, server.script) == "True\nTrue\ninterrupted\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_is_told_and_can_start_anew(server: Server) -> None:
    program = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        client = Client(url, TOKEN)
        channel = client.channel("/chat/fork")
        async def main():
            await client.connect()
            await channel.join()
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    for call in (lambda: Client(url), lambda: channel.send("x"), lambda: client.suspend()):
                        try:
                            call()
                        except ForkedError as error:
                            assert "restart_after_fork" in str(error), error
                        else:
                            os._exit(2)
                    restart_after_fork()
                    async def anew():
                        async with Client(url, TOKEN) as own:
                            reply = await (await own.join("/chat/fork")).request("ping")
                            assert reply.name == "pong"
                    thread = threading.Thread(target=lambda: asyncio.run(anew()))
                    thread.start()
                    thread.join()
                    code = 0
                finally:
                    os._exit(code)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status == 0, status
            assert (await channel.request("ping")).name == "pong"
            await client.close()
            print("both went on")
        asyncio.run(main())
    """
    assert run(program, server.url) == "both went on\n"


def test_loops_in_threads(server: Server) -> None:
    program = """
        import uvloop
        results = []
        async def work(number):
            async with Client(url, TOKEN) as client:
                channel = await client.join("/chat/threads", {"username": f"user{number}"})
                for n in range(50):
                    assert (await channel.request("ping", {"n": n})).payload["n"] == n
                results.append(number)
        threads = [
            threading.Thread(target=lambda n=n: (asyncio.run if n % 2 else uvloop.run)(work(n))) for n in range(8)
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(sorted(results) == list(range(8)))
        client = Client(url, TOKEN)
        async def first(): await client.connect()
        async def second():
            try:
                await client.connect()
            except RuntimeError as error:
                print(error)
        async def both():
            await client.connect()
            thread = threading.Thread(target=lambda: asyncio.run(second()))
            thread.start()
            await asyncio.to_thread(thread.join)
            await client.close()
        asyncio.run(both())
    """
    assert run(program, server.url) == "True\nthis client belongs to another event loop\n"
