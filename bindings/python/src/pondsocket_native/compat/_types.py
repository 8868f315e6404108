# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, states and the types of handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from .._core import Message

DEFAULT_CONNECTION_TIMEOUT: float = 10.0
DEFAULT_MAX_RECONNECT_DELAY: float = 30.0
DEFAULT_BASE_RECONNECT_DELAY: float = 1.0
DEFAULT_PING_INTERVAL: float | None = None
DEFAULT_MAX_QUEUE_SIZE: int = 100
DEFAULT_RESPONSE_TIMEOUT: float = 5.0

PondObject: TypeAlias = dict[str, Any]
PondMessage: TypeAlias = PondObject
PondPresence: TypeAlias = PondObject
JoinParams: TypeAlias = PondObject
Unsubscribe: TypeAlias = Callable[[], None]

ServerMessage = Message


class ConnectionState(StrEnum):
    """State of a client."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class ChannelState(StrEnum):
    """State of a channel."""

    IDLE = "IDLE"
    JOINING = "JOINING"
    JOINED = "JOINED"
    STALLED = "STALLED"
    CLOSED = "CLOSED"
    DECLINED = "DECLINED"


@dataclass(slots=True)
class ClientOptions:
    """What a client can be told. Times are seconds.

    Attributes:
        connection_timeout: a dial, up to the server's greeting.
        base_reconnect_delay, max_reconnect_delay: between dials; doubles with each failure, with full jitter.
        max_reconnect_attempts: dials after a failed dial or a lost connection; -1 = no limit.
        ping_interval: between pings; None = the library's 25 s.
        max_queue_size: messages that a channel keeps while it is not joined; then the oldest go.
        response_timeout: a request without a `wait` of its own.
    """

    connection_timeout: float = DEFAULT_CONNECTION_TIMEOUT
    base_reconnect_delay: float = DEFAULT_BASE_RECONNECT_DELAY
    max_reconnect_delay: float = DEFAULT_MAX_RECONNECT_DELAY
    max_reconnect_attempts: int = -1
    ping_interval: float | None = DEFAULT_PING_INTERVAL
    max_queue_size: int = DEFAULT_MAX_QUEUE_SIZE
    response_timeout: float = DEFAULT_RESPONSE_TIMEOUT


@dataclass(frozen=True, slots=True)
class PresencePayload:
    """What a presence handler is told: the one that changed, and everybody."""

    changed: PondPresence
    presence: list[PondPresence]


ConnectionStateHandler: TypeAlias = Callable[[ConnectionState], object]
ErrorHandler: TypeAlias = Callable[[BaseException], object]
ChannelStateHandler: TypeAlias = Callable[[ChannelState], object]
MessageHandler: TypeAlias = Callable[[Message], object]
PresenceHandler: TypeAlias = Callable[[PondPresence], object]
PresenceUpdateHandler: TypeAlias = Callable[[PresencePayload], object]
UsersChangeHandler: TypeAlias = Callable[[list[PondPresence]], object]
Publisher: TypeAlias = Callable[[Any], Awaitable[None]]
