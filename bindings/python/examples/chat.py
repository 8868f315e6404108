# SPDX-License-Identifier: GPL-3.0-or-later
"""A chat in the terminal: chat.py [URL] [ROOM] [NAME]. Ends at the end of the input."""

import asyncio
import sys

from pondsocket_native import ChannelStateChange, Client, ClientStateChange, Message, Presence, PresenceKind

ARGUMENTS = [*sys.argv[1:], *["ws://127.0.0.1:8080/api/socket", "42", "anna"][len(sys.argv) - 1 :]]
URL, ROOM, NAME = ARGUMENTS[:3]
own: asyncio.Queue[str] = asyncio.Queue()


def on_message(message: Message) -> None:
    print(f"<{message.payload['from']}> {message.payload['text']}", flush=True)
    if message.payload["from"] == NAME:
        own.put_nowait(message.payload["text"])


def on_presence(presence: Presence) -> None:
    what = {PresenceKind.JOIN: "came", PresenceKind.LEAVE: "went", PresenceKind.UPDATE: "changed"}.get(presence.kind)
    if what:
        print(f"* {presence.changed['id']} {what}; here: {len(presence.users)}", flush=True)


def on_state(change: ClientStateChange | ChannelStateChange) -> None:
    why = f": {change.error}" if change.error else ""
    print(f"* {change.state.name.lower()}{why}", flush=True)


async def main() -> None:
    async with Client(URL, {"token": "secret"}) as client:
        client.on_state(on_state)
        channel = client.channel(f"/chat/{ROOM}", {"username": NAME})
        channel.on_state(on_state)
        channel.on_presence(on_presence)
        channel.on("message", on_message)
        await channel.join()
        said = 0
        while line := await asyncio.to_thread(sys.stdin.readline):
            channel.send("message", {"text": line.rstrip("\n")})
            said += 1
        try:  # lines of a pipe may still be on their way
            async with asyncio.timeout(5):
                for _ in range(said):
                    await own.get()
        except TimeoutError:
            print("* not all that was said came back", flush=True)


asyncio.run(main())
