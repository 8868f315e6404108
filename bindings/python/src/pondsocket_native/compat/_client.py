# SPDX-License-Identifier: GPL-3.0-or-later
"""The client with the official client's names."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit, urlunsplit

from .._channel import complete
from .._core import Channel as CoreChannel
from .._core import Message, Session
from .._errors import InvalidUrlError
from .._pump import TURN, Pump, error_of, milliseconds
from .._words import EVENT_CLIENT_ERROR, EVENT_CLIENT_STATE, ClientState
from ._channel import Channel
from ._typed import PondSchema, TypedChannel, to_pond_object, typed_channel
from ._types import (
    ChannelState,
    ClientOptions,
    ConnectionState,
    ConnectionStateHandler,
    ErrorHandler,
    JoinParams,
    Unsubscribe,
)

PresenceT = TypeVar("PresenceT")
AssignsT = TypeVar("AssignsT")
JoinParamsT = TypeVar("JoinParamsT")

ENDED = (ChannelState.CLOSED, ChannelState.DECLINED)


class BaseClient(abc.ABC):
    """What every client has. It is here for `isinstance`: the transport is the library's and cannot be replaced."""

    def __init__(self, options: ClientOptions | None = None) -> None:
        self._options = options or ClientOptions()
        self._state = ConnectionState.DISCONNECTED
        self._channels: dict[str, Channel] = {}
        self._state_handlers: dict[object, ConnectionStateHandler] = {}
        self._error_handlers: dict[object, ErrorHandler] = {}
        self._opening: set[asyncio.Future[None]] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._made: tuple[Session, Pump] | None = None

    @abc.abstractmethod
    def _resolve_url(self) -> str: ...

    def _make(self) -> tuple[Session, Pump]:
        """The session, made when first needed: a wrong URL is an error of `connect`, not of the constructor."""
        if self._made is None:
            told = self._options
            options: dict[str, Any] = {
                "connect_timeout_ms": milliseconds(told.connection_timeout),
                "response_timeout_ms": milliseconds(told.response_timeout),
                "backoff_ms": (
                    milliseconds(min(told.base_reconnect_delay, told.max_reconnect_delay)),
                    milliseconds(told.max_reconnect_delay),
                ),
                "max_reconnect_attempts": max(told.max_reconnect_attempts, -1),
                "queue_limit": told.max_queue_size,
            }
            if told.ping_interval is not None:
                options["ping_interval_ms"] = milliseconds(told.ping_interval)
            session = Session(self._resolve_url(), None, options)
            self._made = (session, Pump(session, self._event))
        return self._made

    @property
    def _session(self) -> Session:
        return self._make()[0]

    @property
    def _pump(self) -> Pump:
        return self._make()[1]

    def _attach(self) -> None:
        self._pump.attach(asyncio.get_running_loop())

    @property
    def options(self) -> ClientOptions:
        """The options it was made with."""
        return self._options

    def get_state(self) -> ConnectionState:
        """The state that handlers were told last."""
        return self._state

    def create_channel(self, name: str, params: JoinParams | None = None) -> Channel:
        """The channel of that name; a new one if there is none, or it was left, evicted or declined."""
        existing = self._channels.get(name)
        if existing is not None:
            if existing.channel_state not in ENDED:
                return existing
            existing._replace()
        channel = self._channels[name] = Channel(client=self, name=name, params=params)
        return channel

    def create_typed_channel(
        self,
        schema: PondSchema[PresenceT, AssignsT, JoinParamsT],
        name: str,
        params: JoinParamsT | None = None,
    ) -> TypedChannel[PresenceT]:
        """`create_channel`, with the schema's types."""
        return typed_channel(self.create_channel(name, to_pond_object(params)), schema)

    def on_connection_change(self, callback: ConnectionStateHandler) -> Unsubscribe:
        """Calls back with the state now, and with each state from now on."""
        self._guarded(callback, self._state)
        key = object()
        self._state_handlers[key] = callback
        return lambda: _discard(self._state_handlers, key)

    def on_error(self, callback: ErrorHandler) -> Unsubscribe:
        """Calls back with each error of the connection."""
        key = object()
        self._error_handlers[key] = callback
        return lambda: _discard(self._error_handlers, key)

    async def connect(self) -> None:
        """Dials; returns when connected, or when the first dial has failed: then further dials go on behind.

        Failures are told to the handlers of `on_error`, not raised.
        """
        try:
            self._attach()
        except ValueError as error:
            self._publish(ConnectionState.CONNECTING)
            self._publish_error(error)
            self._publish(ConnectionState.DISCONNECTED)
            return
        if self._state is not ConnectionState.DISCONNECTED:
            return
        self._publish(ConnectionState.CONNECTING)
        opening = asyncio.get_running_loop().create_future()
        self._opening.add(opening)
        self._session.connect()
        self._session.reconnect_now()
        try:
            await opening
        finally:
            self._opening.discard(opening)

    async def disconnect(self) -> None:
        """Says goodbye and closes all channels. `connect` works again."""
        if self._made is not None:
            self._attach()
            closing = asyncio.get_running_loop().create_future()
            self._closing.add(closing)
            self._session.disconnect()
            if self._session.state() != ClientState.DISCONNECTED:
                await closing
            while self._session.drain(TURN, self._event, self._pump.report):
                pass
            complete(self._closing, None)
            self._pump.detach()
        self._publish(ConnectionState.DISCONNECTED)
        complete(self._opening, None)
        for channel in list(self._channels.values()):
            channel._close()
        self._channels.clear()

    # Events.

    def _event(self, event: Message, core: CoreChannel | None) -> None:
        if self._pump.reply(event):
            return
        kind = event.kind
        if core is not None:
            if core.owner is not None:
                core.owner._event(kind, event)
        elif kind == EVENT_CLIENT_STATE:
            state = ClientState(event.state)
            self._publish(ConnectionState[state.name])
            if state is not ClientState.CONNECTING:
                complete(self._opening, None)
            if state is ClientState.DISCONNECTED and self._session.state() == state:
                complete(self._closing, None)
        elif kind == EVENT_CLIENT_ERROR:
            self._publish_error(error_of(event))

    def _publish(self, state: ConnectionState) -> None:
        # `connect` and `disconnect` tell at once; the event comes later.
        if state is self._state:
            return
        self._state = state
        for callback in list(self._state_handlers.values()):
            self._guarded(callback, state)

    def _publish_error(self, error: BaseException) -> None:
        for callback in list(self._error_handlers.values()):
            self._guarded(callback, error)

    def _guarded(self, callback: Callable[[Any], object], argument: object) -> None:
        try:
            callback(argument)
        except Exception as error:
            if self._made is None or self._made[1].loop is None:
                raise
            self._made[1].report(callback, error)


class WebSocketClient(BaseClient, abc.ABC):
    """A client over WebSocket; here for `isinstance`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*cast(Any, args), **cast(Any, kwargs))


class PondClient(WebSocketClient):
    """A PondSocket client.

    Args:
        endpoint: a ws, wss, http or https URL.
        params: appended to the URL's query; lists give a key several times.
        options: see `ClientOptions`.
    """

    def __init__(
        self,
        endpoint: str,
        params: dict[str, Any] | None = None,
        options: ClientOptions | None = None,
    ) -> None:
        super().__init__(options)
        self._endpoint = endpoint
        self._params = dict(params or {})

    def _resolve_url(self) -> str:
        parts = urlsplit(self._endpoint)
        if parts.scheme.lower() not in ("ws", "wss", "http", "https"):
            raise InvalidUrlError(f"{parts.scheme!r} is not ws, wss, http or https", status=-5, code="INVALID_URL")
        query = "&".join(each for each in (parts.query, urlencode(self._params, doseq=True)) if each)
        return urlunsplit(parts._replace(query=query))


def _discard(handlers: dict[object, Any], key: object) -> None:
    handlers.pop(key, None)
