# SPDX-License-Identifier: GPL-3.0-or-later
"""What handlers are told besides messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ._core import Message
from ._errors import PondError
from ._pump import error_of
from ._words import FOREVER, ChannelState, ClientState, PresenceKind


@dataclass(frozen=True, slots=True)
class ClientStateChange:
    """A state that the client reached.

    Attributes:
        attempt: number of the dial, 1 = first since connected.
        retry_in: seconds until the next dial; None = none will come.
        connect_count: how often this client has been connected.
        close_code: the WebSocket close code; 0 = none came.
        in_doubt: messages sent since the last proof of life, which are never resent.
        error: why, if not by wish.
    """

    state: ClientState
    previous: ClientState
    attempt: int
    retry_in: float | None
    connect_count: int
    close_code: int
    in_doubt: int
    error: PondError | None

    @classmethod
    def of(cls, event: Message) -> ClientStateChange:
        """From an event."""
        retry = event.retry_ms
        return cls(
            ClientState(event.state),
            ClientState(event.previous_state),
            event.attempt,
            None if retry == FOREVER else retry / 1000,
            event.connect_count,
            event.close_code,
            event.in_doubt,
            error_of(event) if event.status else None,
        )


@dataclass(frozen=True, slots=True)
class ChannelStateChange:
    """A state that a channel reached; `error` tells why, if not by wish."""

    state: ChannelState
    previous: ChannelState
    error: PondError | None

    @classmethod
    def of(cls, event: Message) -> ChannelStateChange:
        """From an event."""
        return cls(
            ChannelState(event.state),
            ChannelState(event.previous_state),
            error_of(event) if event.status else None,
        )


@dataclass(frozen=True, slots=True)
class Presence:
    """Who came, changed or went (`changed`), and who is there now (`users`)."""

    kind: PresenceKind
    changed: Any
    users: list[Any]

    @classmethod
    def of(cls, event: Message) -> Presence:
        """From an event."""
        return cls(PresenceKind(event.presence_kind), event.changed, event.users)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Messages that will never be sent: how many, and the newest of them."""

    count: int
    message: Message
    error: PondError

    @classmethod
    def of(cls, event: Message) -> Dropped:
        """From an event."""
        return cls(event.count, event, error_of(event))


class Stats(NamedTuple):
    """Counters since the client was made, and levels of now."""

    bytes_in: int
    bytes_out: int
    frames_in: int
    frames_out: int
    dropped: int
    dials: int
    connects: int
    inbound_events: int
    inbound_bytes: int
    outbound_messages: int
    rtt_us: int
