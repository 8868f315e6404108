# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel with the official client's names."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._channel import encode
from .._core import Message
from .._errors import ClosedError, DeclinedError, PondError, PondTimeoutError
from .._pump import milliseconds
from .._words import EVENT_CHANNEL_STATE, EVENT_PRESENCE, PresenceKind
from .._words import ChannelState as State
from ._types import (
    ChannelState,
    ChannelStateHandler,
    JoinParams,
    MessageHandler,
    PondMessage,
    PondPresence,
    PresenceHandler,
    PresencePayload,
    PresenceUpdateHandler,
    Unsubscribe,
    UsersChangeHandler,
)

if TYPE_CHECKING:
    from ._client import BaseClient

logger = logging.getLogger("pondsocket_native")


class ResponseTimeoutError(Exception):
    """No response came in time."""


class ResponseFailedError(ResponseTimeoutError):
    """No response will come: `error` tells why (the server's error, a lost connection, a closed channel).

    It is a ResponseTimeoutError, so that programs which catch that one are right without change.
    """

    def __init__(self, message: str, error: PondError | None = None) -> None:
        super().__init__(message)
        self.error = error


class Channel:
    """A channel; made by `create_channel`."""

    __slots__ = (
        "__weakref__",
        "_client",
        "_closed",
        "_core",
        "_handlers",
        "_presence_handlers",
        "_state",
        "_state_handlers",
        "name",
    )

    def __init__(self, *, client: BaseClient, name: str, params: JoinParams | None) -> None:
        self.name = name
        self._client = client
        self._core = client._session.channel(name, json.dumps(dict(params or {})))
        self._core.owner = self
        self._state = ChannelState.IDLE
        self._closed = False
        self._handlers: dict[object, tuple[bytes | None, MessageHandler]] = {}
        self._state_handlers: dict[object, ChannelStateHandler] = {}
        self._presence_handlers: dict[object, Callable[[Message], object]] = {}

    def __repr__(self) -> str:
        return f"<Channel {self.name!r} {self._state.value}>"

    @property
    def channel_state(self) -> ChannelState:
        """The state that handlers were told last."""
        return self._state

    @property
    def presence(self) -> list[PondPresence]:
        """Who is there."""
        if self._closed:
            return []
        users: list[PondPresence] = json.loads(self._core.presence())
        return users

    def join(self) -> None:
        """Joins, in the background; as soon as there is a connection, and again after it was lost."""
        if self._closed or self._state not in (ChannelState.IDLE, ChannelState.STALLED):
            return
        self._core.join()
        if self._state is ChannelState.IDLE:
            self._publish(ChannelState.JOINING)

    def leave(self) -> None:
        """Leaves for good: `create_channel` makes a new channel of that name."""
        self._close()

    def send_message(self, event: str, payload: PondMessage | None = None) -> None:
        """Sends, in order; queued while not joined. On a channel that has ended it is ignored, with a warning in the log.

        Raises:
            QueueFullError: over 4 MiB wait to be written; nothing was taken.
            TooLargeError, InvalidArgumentError: the message itself.
        """
        try:
            self._core.send(event, encode(payload))
        except (ClosedError, DeclinedError) as error:
            logger.warning("%s on %s was not sent: %s", event, self.name, error)
        except PondError:
            if not self._closed:
                raise
            logger.warning("%s on %s was not sent: the channel is closed", event, self.name)

    async def send_for_response(
        self,
        event: str,
        payload: PondMessage | None = None,
        *,
        wait: float | None = None,
    ) -> PondMessage:
        """Sends, and waits for the response's payload.

        Args:
            wait: seconds; None = the option `response_timeout`.

        Raises:
            ResponseTimeoutError: no response in time.
            ResponseFailedError: none will come; a server's error is never taken for a response.
        """
        if self._closed:
            raise ResponseFailedError("channel is closed")
        client = self._client
        client._attach()
        seconds = client.options.response_timeout if wait is None else wait
        try:
            reply = await client._pump.request(self._core, event, encode(payload), milliseconds(seconds))
        except PondTimeoutError as error:
            raise ResponseTimeoutError(f"no response to {event!r} within {seconds} s") from error
        except PondError as error:
            raise ResponseFailedError(f"no response to {event!r}: {error}", error) from error
        answer = reply.payload
        return answer if isinstance(answer, dict) else {}

    # Handlers. Each answers with a function that takes it back.

    def on_channel_state_change(self, callback: ChannelStateHandler) -> Unsubscribe:
        """Calls back with the state now, and with each state from now on."""
        self._client._guarded(callback, self._state)
        key = object()
        self._state_handlers[key] = callback
        return lambda: _discard(self._state_handlers, key)

    def on_message(self, callback: MessageHandler) -> Unsubscribe:
        """Calls back with each message. `message.raw` and `message.text` cost no parsing, `message.payload` does."""
        return self._on(None, callback)

    def on_message_event(self, event_name: str, callback: MessageHandler) -> Unsubscribe:
        """Calls back with each message of that name."""
        return self._on(event_name.encode(), callback)

    def _on(self, name: bytes | None, callback: MessageHandler) -> Unsubscribe:
        key = object()
        self._handlers[key] = (name, callback)
        self._core.handlers = tuple(self._handlers.values())

        def unsubscribe() -> None:
            if self._handlers.pop(key, None) is not None:
                self._core.handlers = tuple(self._handlers.values())

        return unsubscribe

    def on_join(self, callback: PresenceHandler) -> Unsubscribe:
        """Calls back with the presence of each one who comes."""
        return self._on_kind(PresenceKind.JOIN, callback)

    def on_leave(self, callback: PresenceHandler) -> Unsubscribe:
        """Calls back with the presence of each one who goes."""
        return self._on_kind(PresenceKind.LEAVE, callback)

    def on_presence_change(self, callback: PresenceUpdateHandler) -> Unsubscribe:
        """Calls back when somebody's presence has changed, with it and with everybody's."""

        def told(event: Message) -> None:
            if event.presence_kind == PresenceKind.UPDATE:
                callback(PresencePayload(event.changed, event.users))

        return self._on_presence(told)

    def on_users_change(self, callback: UsersChangeHandler) -> Unsubscribe:
        """Calls back with everybody's presences when they have changed."""
        return self._on_presence(lambda event: callback(event.users))

    def _on_kind(self, kind: PresenceKind, callback: PresenceHandler) -> Unsubscribe:
        def told(event: Message) -> None:
            if event.presence_kind == kind:
                callback(event.changed)

        return self._on_presence(told)

    def _on_presence(self, told: Callable[[Message], object]) -> Unsubscribe:
        key = object()
        self._presence_handlers[key] = told
        return lambda: _discard(self._presence_handlers, key)

    # Events.

    def _event(self, kind: int, event: Message) -> None:
        if self._closed:
            return
        if kind == EVENT_CHANNEL_STATE:
            state = ChannelState[State(event.state).name]
            if state is ChannelState.CLOSED:
                self._close()
            else:
                self._publish(state)
        elif kind == EVENT_PRESENCE:
            for told in list(self._presence_handlers.values()):
                self._client._guarded(told, event)

    def _publish(self, state: ChannelState) -> None:
        # A join or leave was told when it was called; its event comes later.
        if state is self._state:
            return
        self._state = state
        for callback in list(self._state_handlers.values()):
            self._client._guarded(callback, state)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._client._session.free_channel(self._core)
        self._core.owner = None
        self._core.handlers = ()
        self._publish(ChannelState.CLOSED)

    def _replace(self) -> None:
        """Frees the name of a declined channel for a new one."""
        self._closed = True
        self._client._session.free_channel(self._core)
        self._core.owner = None


def _discard(handlers: dict[object, Any], key: object) -> None:
    handlers.pop(key, None)
