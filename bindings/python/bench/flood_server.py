# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that only floods: as fast as the socket takes it, so that the client is what is measured.

Prints its URL when ready. A join is acknowledged; the event "flood" {count, size} is answered with `count` broadcasts
`flood` whose payload has `size` bytes of JSON, prepared before the first is written.
"""

import asyncio
import base64
import hashlib
import json
import struct
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BLOCK = 200  # frames a write


def frame(data: bytes, opcode: int = 1) -> bytes:
    """An unmasked WebSocket frame."""
    if len(data) < 126:
        return struct.pack("!BB", 0x80 | opcode, len(data)) + data
    if len(data) < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, len(data)) + data
    return struct.pack("!BBQ", 0x80 | opcode, 127, len(data)) + data


def message(action: str, channel: str, event: str, request: str, payload: object) -> bytes:
    """A frame with an envelope in it."""
    envelope = {"action": action, "event": event, "channelName": channel, "requestId": request, "payload": payload}
    return frame(json.dumps(envelope, separators=(",", ":")).encode())


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The opcode and data of a client's frame."""
    first, second = await reader.readexactly(2)
    length = second & 127
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    mask = await reader.readexactly(4)
    data = await reader.readexactly(length)
    return first & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


async def flood(writer: asyncio.StreamWriter, envelope: dict[str, object], payload: dict[str, int]) -> None:
    """Writes the broadcasts, and after the last one `done`."""
    channel = str(envelope["channelName"])
    padding = payload["size"] - len('{"i":1234567,"pad":""}')
    blocks = []
    for start in range(0, payload["count"], BLOCK):
        numbers = range(start, min(start + BLOCK, payload["count"]))
        told = ({"i": 1_000_000 + number, "pad": "x" * padding} for number in numbers)
        blocks.append(b"".join(message("BROADCAST", channel, "flood", f"r{start}", each) for each in told))
    writer.write(message("BROADCAST", channel, "ready", "r", {}))
    for block in blocks:
        writer.write(block)
        await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client, from the upgrade to the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        writer.write(message("CONNECT", "ENDPOINT", "CONNECTION", "c", {"connectionId": "c"}))
        while True:
            opcode, data = await read_frame(reader)
            if opcode == 8:
                return
            if opcode == 9:
                writer.write(frame(data, 10))
            if opcode != 1:
                continue
            envelope = json.loads(data)
            if envelope["action"] == "JOIN_CHANNEL":
                writer.write(message("SYSTEM", envelope["channelName"], "ACKNOWLEDGE", envelope["requestId"], {}))
            elif envelope["event"] == "flood":
                await flood(writer, envelope, envelope["payload"])
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serves until standard input ends."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"listening ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/flood", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
