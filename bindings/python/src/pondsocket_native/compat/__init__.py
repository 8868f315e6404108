# SPDX-License-Identifier: GPL-3.0-or-later
"""A drop-in for the official package `pondsocket_client`: the same names and signatures over the native library.

What differs, on purpose:
    - a server's error is raised (ResponseFailedError), never taken for a response; the same for a lost connection;
    - an exception in a handler goes to the event loop's exception handler, and the other handlers are still called;
    - CONNECTED means that the server's greeting came;
    - messages have `raw` and `text` besides `payload`, and no `action`;
    - custom transports are not possible: BaseClient and WebSocketClient are here for `isinstance`, and a Channel is
      made by `create_channel` only.
"""

from __future__ import annotations

from .. import __version__
from ._channel import Channel, ResponseFailedError, ResponseTimeoutError
from ._client import BaseClient, PondClient, WebSocketClient
from ._typed import (
    PondEvent,
    PondSchema,
    TypedChannel,
    TypedPresencePayload,
    from_pond_object,
    pond_event,
    pond_schema,
    to_pond_object,
    typed_channel,
)
from ._types import (
    DEFAULT_BASE_RECONNECT_DELAY,
    DEFAULT_CONNECTION_TIMEOUT,
    DEFAULT_MAX_QUEUE_SIZE,
    DEFAULT_MAX_RECONNECT_DELAY,
    DEFAULT_PING_INTERVAL,
    DEFAULT_RESPONSE_TIMEOUT,
    ChannelState,
    ChannelStateHandler,
    ClientOptions,
    ConnectionState,
    ConnectionStateHandler,
    ErrorHandler,
    MessageHandler,
    PresenceHandler,
    PresencePayload,
    PresenceUpdateHandler,
    Publisher,
    ServerMessage,
    UsersChangeHandler,
)

__all__ = [
    "DEFAULT_BASE_RECONNECT_DELAY",
    "DEFAULT_CONNECTION_TIMEOUT",
    "DEFAULT_MAX_QUEUE_SIZE",
    "DEFAULT_MAX_RECONNECT_DELAY",
    "DEFAULT_PING_INTERVAL",
    "DEFAULT_RESPONSE_TIMEOUT",
    "BaseClient",
    "Channel",
    "ChannelState",
    "ChannelStateHandler",
    "ClientOptions",
    "ConnectionState",
    "ConnectionStateHandler",
    "ErrorHandler",
    "MessageHandler",
    "PondClient",
    "PondEvent",
    "PondSchema",
    "PresenceHandler",
    "PresencePayload",
    "PresenceUpdateHandler",
    "Publisher",
    "ResponseFailedError",
    "ResponseTimeoutError",
    "ServerMessage",
    "TypedChannel",
    "TypedPresencePayload",
    "UsersChangeHandler",
    "WebSocketClient",
    "__version__",
    "from_pond_object",
    "pond_event",
    "pond_schema",
    "to_pond_object",
    "typed_channel",
]
