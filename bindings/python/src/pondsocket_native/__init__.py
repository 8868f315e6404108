# SPDX-License-Identifier: GPL-3.0-or-later
"""PondSocket for asyncio, over the native library libpondsocket.

    async with Client("ws://localhost:8080/api/socket", {"token": "secret"}) as client:
        channel = await client.join("/chat/42", {"username": "anna"})
        reply = await channel.request("ping", {"n": 1})
        async for message in channel:
            print(message.name, message.payload)

`pondsocket_native.compat` has the names of the official package `pondsocket_client` instead.
"""

from __future__ import annotations

import json as _json

from . import _core, _errors
from ._channel import Channel, Messages
from ._client import Client, Dial
from ._core import Message
from ._errors import *  # noqa: F403
from ._events import ChannelStateChange, ClientStateChange, Dropped, Presence, Stats
from ._words import ChannelState, ClientState, Overflow, PresenceKind

_decoder = _json.JSONDecoder()
_core.set_hooks(_errors.from_status, getattr(_decoder, "scan_once", _decoder.raw_decode), _json.loads)

__version__ = _core.version()


def restart_after_fork() -> None:
    """Makes the library usable in a forked child. Clients of the parent stay unusable here; the parent's go on."""
    _core.shutdown(0)


__all__ = [
    "Channel",
    "ChannelState",
    "ChannelStateChange",
    "Client",
    "ClientState",
    "ClientStateChange",
    "Dial",
    "Dropped",
    "Message",
    "Messages",
    "Overflow",
    "Presence",
    "PresenceKind",
    "Stats",
    "__version__",
    "restart_after_fork",
    *_errors.__all__,
]
