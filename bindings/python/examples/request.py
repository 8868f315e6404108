# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests: many at once, a timeout, a cancelled one, and what goes wrong: request.py [URL]"""

import asyncio
import sys

from pondsocket_native import ClosedError, Client, PondTimeoutError

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/api/socket"


async def main() -> None:
    async with Client(URL, {"token": "secret"}, response_timeout=5) as client:
        channel = await client.join("/chat/42", {"username": "anna"})
        answers = await asyncio.gather(*(channel.request("echo", {"n": n}) for n in range(100)))
        print("in parallel:", sum(answer.payload["n"] for answer in answers))
        try:
            await channel.request("silent", timeout=0.1)
        except PondTimeoutError as error:
            print("timeout:", error.message)
        asking = asyncio.create_task(channel.request("slow", {"ms": 10_000}))
        await asyncio.sleep(0)
        asking.cancel()
        print("cancelled:", (await asyncio.gather(asking, return_exceptions=True))[0].__class__.__name__)
        asking = asyncio.create_task(channel.request("slow", {"ms": 10_000}))
        await asyncio.sleep(0)
        channel.leave()
        try:
            await asking
        except ClosedError as error:
            print("closed:", error.message)


asyncio.run(main())
