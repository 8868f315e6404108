# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for the official Python client that runs here with another import: dropin.py [URL]"""

import asyncio
import sys

from pondsocket_native.compat import PondClient, ServerMessage

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/api/socket"


async def main() -> None:
    client = PondClient(URL, {"token": "secret"})
    await client.connect()
    said = asyncio.Event()
    room = client.create_channel("/chat/42", {"username": "alice"})

    def on_message(message: ServerMessage) -> None:
        print("message:", message.payload["text"])
        said.set()

    room.on_message_event("message", on_message)
    room.on_join(lambda user: print("joined:", user["id"]))
    room.join()
    room.send_message("message", {"text": "hello"})
    pong = await room.send_for_response("ping", {"text": "abc"})
    print("got:", pong["text"])
    await said.wait()
    await client.disconnect()


asyncio.run(main())
