# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's statuses as exceptions."""

from __future__ import annotations

import json
from typing import Any

__all__ = [
    "CancelledByClientError",
    "ClosedError",
    "ConnectError",
    "ConnectionLostError",
    "DeclinedError",
    "EvictedError",
    "ForkedError",
    "HttpError",
    "InvalidArgumentError",
    "InvalidJsonError",
    "InvalidStateError",
    "InvalidUrlError",
    "PondError",
    "PondTimeoutError",
    "ProtocolError",
    "QueueFullError",
    "RejectedError",
    "ServerError",
    "TlsError",
    "TooLargeError",
    "UnsupportedError",
]


class PondError(Exception):
    """What went wrong, as the library or the server told it.

    Attributes:
        status: the library's number, always negative: POND_ERROR_...
        code: the server's word for it, or the name of the status.
        message: what happened, for people.
        http_status: the HTTP status of a refused upgrade, or the server's numeric code; 0 if none.
    """

    status: int = 0

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str = "",
        http_status: int = 0,
        details: str = "null",
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.code = code
        self.message = message
        self.http_status = http_status
        self._details = details

    @property
    def details(self) -> Any:
        """The server's JSON about it, parsed; None if there is none."""
        return json.loads(self._details)

    def __str__(self) -> str:
        number = f" ({self.http_status})" if self.http_status else ""
        if not self.message:
            return f"{self.code}{number}"
        return f"{self.message} [{self.code}{number}]" if self.code else f"{self.message}{number}"

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: getattr(self, name) for name in ("status", "code", "message", "http_status", "_details")}
        return (type(self), (self.message,), state)


class InvalidArgumentError(PondError, ValueError):
    """An argument is out of range or malformed (also text that is not UTF-8)."""


class InvalidJsonError(InvalidArgumentError):
    """Not the JSON that is asked for, one object; the message has line and column."""


class InvalidUrlError(InvalidArgumentError):
    """Not a URL that can be dialled."""


class InvalidStateError(PondError):
    """Not possible now."""


class TooLargeError(PondError, ValueError):
    """The message is over the limit, or nested too deep."""


class UnsupportedError(PondError):
    """Not on this platform, or memory, threads or descriptors ran out."""


class ForkedError(PondError):
    """This process was forked from one that used the library: call `restart_after_fork()` and make a new client."""


class ClosedError(PondError):
    """The channel was left, disconnected, evicted or closed, or the client was closed."""


class CancelledByClientError(PondError):
    """The request was cancelled."""


class QueueFullError(PondError):
    """No room, nothing was taken: `await channel.writable()`, then try again."""


class PondTimeoutError(PondError, TimeoutError):
    """A request, join or dial that the other side did not answer in time."""


class ConnectError(PondError, ConnectionError):
    """Name lookup or TCP failed."""


class TlsError(ConnectError):
    """Certificate or handshake, or an unusable CA file."""


class HttpError(ConnectError):
    """The upgrade was refused: see http_status."""


class RejectedError(ConnectError):
    """The server closed before it let the client in."""


class ConnectionLostError(PondError, ConnectionError):
    """The connection died."""


class ProtocolError(PondError):
    """A frame that cannot be decoded; the connection goes on."""


class DeclinedError(PondError):
    """The server refused the join."""


class EvictedError(PondError):
    """The server put this client out of the channel."""


class ServerError(PondError):
    """The server answered with an error."""


BY_STATUS: dict[int, type[PondError]] = {
    -1: InvalidArgumentError,
    -2: ClosedError,
    -3: InvalidArgumentError,
    -4: InvalidJsonError,
    -5: InvalidUrlError,
    -6: InvalidStateError,
    -7: TooLargeError,
    -8: InvalidStateError,
    -9: InvalidStateError,
    -10: UnsupportedError,
    -11: UnsupportedError,
    -12: ForkedError,
    -20: ClosedError,
    -21: CancelledByClientError,
    -22: QueueFullError,
    -23: PondTimeoutError,
    -30: ConnectError,
    -31: TlsError,
    -32: HttpError,
    -33: RejectedError,
    -34: ConnectionLostError,
    -35: ProtocolError,
    -40: DeclinedError,
    -41: EvictedError,
    -42: ServerError,
}

EXPLAINED = {
    -2: "this client or channel is closed",
    -12: "this process was forked from one that uses the library: call pondsocket_native.restart_after_fork() first",
}


def from_status(status: int, code: str, message: str, http_status: int, details: str) -> PondError:
    """The exception for a status and its error fields."""
    kind = BY_STATUS.get(status, PondError)
    return kind(
        EXPLAINED.get(status) or message, status=status, code=code, http_status=http_status, details=details
    )
