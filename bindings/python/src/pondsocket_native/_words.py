# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's numbers, and the states by name."""

from __future__ import annotations

from enum import IntEnum

FOREVER = 0xFFFFFFFF

EVENT_CLIENT_STATE = 1
EVENT_CLIENT_ERROR = 2
EVENT_CLIENT_MESSAGE = 3
EVENT_DIAL = 4
EVENT_CHANNEL_STATE = 11
EVENT_MESSAGE = 12
EVENT_PRESENCE = 13
EVENT_CHANNEL_ERROR = 14
EVENT_REPLY = 15
EVENT_DROPPED = 16
EVENT_WRITABLE = 17


class ClientState(IntEnum):
    """State of a client."""

    DISCONNECTED = 1
    CONNECTING = 2
    CONNECTED = 3


class ChannelState(IntEnum):
    """State of a channel."""

    IDLE = 11
    JOINING = 12
    JOINED = 13
    STALLED = 14
    CLOSED = 15
    DECLINED = 16


class PresenceKind(IntEnum):
    """What a presence event tells."""

    LIST = 0
    JOIN = 1
    UPDATE = 2
    LEAVE = 3


class Overflow(IntEnum):
    """What happens to a message for the full queue of a channel that is not joined."""

    DROP_OLDEST = 1
    DROP_NEWEST = 2
    REFUSE = 3
