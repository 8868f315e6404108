# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins, says hello, asks, and leaves: quickstart.py [URL]"""

import asyncio
import sys

from pondsocket_native import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/api/socket"


async def main() -> None:
    async with Client(URL, {"token": "secret"}) as client:
        channel = await client.join("/chat/42", {"username": "anna"})
        channel.send("message", {"text": "hello"})
        answer = await channel.request("ping", {"text": "abc"}, timeout=3)
        print("answer:", answer.name, answer.text)
        async for message in channel:
            print(f"{message.name}: {message.payload['text']}")
            break


asyncio.run(main())
