# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: one connection and its channels."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from ._channel import Channel, Handler, Unsubscribe, complete, encode_text, is_coroutine, void
from ._core import Channel as CoreChannel
from ._core import Message, Session
from ._errors import ClosedError, ConnectError, PondError, PondTimeoutError
from ._events import ClientStateChange, Stats
from ._pump import TURN, Pump, error_of, milliseconds
from ._words import (
    EVENT_CLIENT_ERROR,
    EVENT_CLIENT_MESSAGE,
    EVENT_CLIENT_STATE,
    EVENT_DIAL,
    ClientState,
    Overflow,
)


class Dial(NamedTuple):
    """What a dial is to use: None keeps the client's URL or params."""

    url: str | None = None
    params: Mapping[str, Any] | None = None


Dialler = Callable[[int], Awaitable[Dial]]


class Client:
    """A PondSocket client for asyncio.

    Use it with ``async with``, or call `connect` and `close`. It belongs to the event loop on which it was first
    connected; several clients may live on several loops in several threads.

    Args:
        url: ws, wss, http or https.
        params: merged into the URL's query.
        connect_timeout: seconds a dial may take, up to the server's greeting.
        join_timeout: seconds the server may take to answer a join.
        response_timeout: seconds a request waits that names no time of its own.
        backoff: seconds between dials, base and cap; doubles with each failure, with full jitter.
        max_reconnect_attempts: dials after a failed dial or a lost connection; None = no limit.
        ping_interval: seconds between pings; None = no pings.
        pong_timeout: seconds a pong may take.
        queue_limit: messages that each channel keeps while it is not joined.
        overflow: what that queue does when it is full.
        outbound_limit: bytes accepted on joined channels and not yet written.
        inbound_limit: events and bytes that may wait in the library; beyond it the socket is not read.
        max_message_bytes: largest message in, and out.
        legacy_grace: seconds of silence that count as connected to the older JavaScript server; None = never.
        retry_refused: whether a 401 or 403 before the first connection is retried.
        headers: request headers of each dial.
        ca_file, ca_pem: CA certificates, trusted beside the platform's.
        client_cert: certificate chain and private key, PEM texts.
        insecure_skip_verify: the server's certificate is not verified. For experiments only.
        dial: called before each dial with its number, answers with URL and params: fresh tokens.

    Raises:
        InvalidUrlError, InvalidArgumentError, TlsError: what was given; ValueError for an option out of range.
        ForkedError: see `restart_after_fork`.
    """

    def __init__(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        connect_timeout: float = 10.0,
        join_timeout: float = 10.0,
        response_timeout: float = 10.0,
        backoff: tuple[float, float] = (1.0, 30.0),
        max_reconnect_attempts: int | None = None,
        ping_interval: float | None = 25.0,
        pong_timeout: float = 10.0,
        queue_limit: int = 100,
        overflow: Overflow = Overflow.DROP_OLDEST,
        outbound_limit: int = 4 << 20,
        inbound_limit: tuple[int, int] = (10_000, 16 << 20),
        max_message_bytes: tuple[int, int] = (16 << 20, 512 << 10),
        legacy_grace: float | None = 2.0,
        retry_refused: bool = False,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        ca_pem: str | None = None,
        client_cert: tuple[str, str] | None = None,
        insecure_skip_verify: bool = False,
        dial: Dialler | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "connect_timeout_ms": milliseconds(connect_timeout),
            "join_timeout_ms": milliseconds(join_timeout),
            "response_timeout_ms": milliseconds(response_timeout),
            "backoff_ms": (milliseconds(backoff[0]), milliseconds(backoff[1])),
            "max_reconnect_attempts": -1 if max_reconnect_attempts is None else max_reconnect_attempts,
            "ping_interval_ms": 0 if ping_interval is None else milliseconds(ping_interval),
            "pong_timeout_ms": milliseconds(pong_timeout),
            "queue_limit": queue_limit,
            "overflow": int(overflow),
            "outbound_limit": outbound_limit,
            "inbound_limit": inbound_limit,
            "max_message_bytes": max_message_bytes,
            "legacy_grace_ms": 0 if legacy_grace is None else milliseconds(legacy_grace),
            "retry_refused": int(retry_refused),
            "headers": dict(headers or {}),
            "insecure_skip_verify": int(insecure_skip_verify),
            "ask_before_dial": int(dial is not None),
        }
        for name, value in (("ca_file", ca_file), ("ca_pem", ca_pem), ("client_cert", client_cert)):
            if value is not None:
                options[name] = value
        self._connect_timeout = connect_timeout
        self._dial = dial
        self._session = Session(url, encode_text(params), options)
        self._pump = Pump(self._session, self._event)
        self._freed = False
        self._channels: dict[str, Channel] = {}
        self._listeners: dict[int, dict[object, Callable[[Any], object]]] = {}
        self._connecting: set[asyncio.Future[None]] = set()
        self._disconnecting: set[asyncio.Future[None]] = set()
        # The state of the last event: it lags behind `state`.
        self._told = ClientState.DISCONNECTED
        self._last_error: PondError | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Client {self.state.name}>"

    # The connection.

    @property
    def state(self) -> ClientState:
        """The newest state; handlers may not have heard of it yet."""
        return ClientState.DISCONNECTED if self._freed else ClientState(self._session.state())

    @property
    def connection_id(self) -> str | None:
        """What the server calls this connection, if it told."""
        return None if self._freed else self._session.connection_id()

    @property
    def stats(self) -> Stats:
        """Counters since the client was made, and levels of now."""
        return Stats(*self._session.stats())

    async def connect(self, *, timeout: float | None = -1) -> None:
        """Dials, and waits until the server has let the client in. Afterwards lost connections are dialled again.

        Args:
            timeout: seconds; None = as long as the client tries; by default the client's connect timeout. It ends the
                waiting, not the dialling.

        Raises:
            ConnectError, TlsError, HttpError, RejectedError, ConnectionLostError: the client gave up, or the last dial
                before the timeout failed so.
            PondTimeoutError: no answer in time.
            ClosedError: the client was disconnected meanwhile.
        """
        self._attach()
        if timeout is not None and timeout < 0:
            timeout = self._connect_timeout
        self._last_error = None
        future: asyncio.Future[None] = self._loop().create_future()
        self._session.connect()
        if self.state is ClientState.CONNECTED and self._told is ClientState.CONNECTED:
            return
        self._connecting.add(future)
        try:
            with self._pump.waiting():
                async with asyncio.timeout(timeout):
                    await future
        except TimeoutError as error:
            if isinstance(error, PondError):
                raise
            raise self._timed_out(f"not connected within {timeout} s") from None
        finally:
            self._connecting.discard(future)

    async def disconnect(self) -> None:
        """Says goodbye: channels are left and end, requests end with ClosedError. `connect` works again."""
        self._attach()
        complete(self._connecting, ClosedError("disconnected", status=-20, code="CLOSED"))
        future: asyncio.Future[None] = self._loop().create_future()
        self._session.disconnect()
        if self.state is ClientState.DISCONNECTED:
            self._pump.drain()
            return
        self._disconnecting.add(future)
        try:
            with self._pump.waiting():
                await future
        finally:
            self._disconnecting.discard(future)

    async def close(self) -> None:
        """Disconnects and ends the client for good."""
        if self._freed:
            return
        try:
            if self._pump.loop is asyncio.get_running_loop():
                await self.disconnect()
        finally:
            self.abort()

    def abort(self) -> None:
        """Ends the client for good without waiting for the network; a goodbye goes on in the background for 1 s."""
        if self._freed:
            return
        self._session.free()
        self._freed = True
        error = ClosedError("the client was closed", status=-20, code="CLOSED")
        # The ends of the requests are still in the queue.
        self._session.paused = False
        while self._session.drain(TURN, self._event, self._pump.report):
            self._session.paused = False
        self._pump.detach()
        complete(self._connecting, error)
        complete(self._disconnecting, None)
        for channel in list(self._channels.values()):
            channel.close()

    async def __aenter__(self) -> Client:
        try:
            await self.connect()
        except BaseException:
            self.abort()
            raise
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.close()

    def suspend(self) -> None:
        """Drops the connection and stops dialling, but keeps channels and queues."""
        self._session.suspend()

    def resume(self) -> None:
        """Dials at once after `suspend`, and rejoins."""
        self._attach()
        self._session.resume()

    def reconnect_now(self) -> None:
        """Skips the backoff: dials now if a dial is waiting."""
        self._session.reconnect_now()

    async def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything sent is written or dropped. False: not within `timeout` seconds."""
        self._attach()
        with self._pump.waiting():
            return await self._loop().run_in_executor(None, self._session.flush, milliseconds(timeout))

    def set_params(self, params: Mapping[str, Any] | None) -> None:
        """Replaces all params of the URL's query, for the next dial."""
        self._session.set_params(encode_text(params))

    def set_header(self, name: str, value: str | None) -> None:
        """Sets a request header for the next dial; None removes it."""
        self._session.set_header(name, value)

    # Channels.

    def channel(self, name: str, params: Mapping[str, Any] | None = None) -> Channel:
        """The channel of that name, made if there is none: register handlers, then `await channel.join()`."""
        return self._channel(name, params, keep=False)

    async def join(
        self, name: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> Channel:
        """Makes a channel and joins it; see `Channel.join`.

        Up to a thousand messages that come before the first handler or iterator are kept for it.
        """
        channel = self._channel(name, params, keep=True)
        await channel.join(params, timeout=timeout)
        return channel

    def _channel(self, name: str, params: Mapping[str, Any] | None, *, keep: bool) -> Channel:
        found = self._channels.get(name)
        if found is None:
            found = self._channels[name] = Channel(self, name, params, keep=keep)
        elif params is not None:
            found.set_join_params(params)
        return found

    # Handlers.

    def on_state(self, handler: Handler[ClientStateChange]) -> Unsubscribe:
        """Calls `handler` for each state that the client reaches."""
        return self._listen(EVENT_CLIENT_STATE, handler)

    def on_error(self, handler: Handler[PondError]) -> Unsubscribe:
        """Calls `handler` for each error of the connection, before the state that it causes."""
        return self._listen(EVENT_CLIENT_ERROR, handler)

    def on_message(self, handler: Handler[Message]) -> Unsubscribe:
        """Calls `handler` for messages on the endpoint itself, not on a channel."""
        return self._listen(EVENT_CLIENT_MESSAGE, handler)

    def _listen(self, kind: int, handler: Handler[Any]) -> Unsubscribe:
        key = object()
        self._listeners.setdefault(kind, {})[key] = self._callable(handler)
        return lambda: void(self._listeners[kind].pop(key, None))

    def _callable(self, handler: Callable[[Any], Any]) -> Callable[[Any], object]:
        if not is_coroutine(handler):
            return handler
        return lambda argument: self._spawn(handler(argument), handler)

    def _spawn(self, coroutine: Any, handler: object) -> None:
        task = self._loop().create_task(coroutine)
        self._tasks.add(task)

        def done(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._pump.report(handler, error)

        task.add_done_callback(done)

    def _guarded(self, handler: Callable[[Any], object], argument: Any) -> None:
        try:
            handler(argument)
        except Exception as error:
            self._pump.report(handler, error)

    # Events.

    def _attach(self) -> None:
        if self._freed:
            raise ClosedError("the client was closed", status=-20, code="CLOSED")
        self._pump.attach(asyncio.get_running_loop())

    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._pump.loop or asyncio.get_running_loop()

    def _timed_out(self, message: str) -> PondError:
        return self._last_error or PondTimeoutError(message, status=-23, code="TIMEOUT")

    def _event(self, event: Message, core: CoreChannel | None) -> None:
        if self._pump.reply(event):
            return
        kind = event.kind
        if core is not None:
            if core.owner is not None:
                core.owner._event(kind, event)
            return
        if kind == EVENT_CLIENT_STATE:
            self._reached(event)
        elif kind == EVENT_CLIENT_ERROR:
            self._last_error = error_of(event)
        elif kind == EVENT_DIAL and self._dial is not None:
            self._spawn(self._answer(self._dial, event.attempt), self._dial)
        listeners = self._listeners.get(kind)
        if not listeners:
            return
        told: Any = event
        if kind == EVENT_CLIENT_STATE:
            told = ClientStateChange.of(event)
        elif kind == EVENT_CLIENT_ERROR:
            told = self._last_error
        for listener in list(listeners.values()):
            self._guarded(listener, told)

    def _reached(self, event: Message) -> None:
        state = self._told = ClientState(event.state)
        if state is ClientState.CONNECTED:
            self._last_error = None
            complete(self._connecting, None)
        elif state is ClientState.DISCONNECTED:
            if self.state is ClientState.DISCONNECTED:
                complete(self._disconnecting, None)
            change = ClientStateChange.of(event)
            if change.retry_in is None and change.error is not None:
                complete(self._connecting, self._last_error or change.error or ConnectError("gave up"))

    async def _answer(self, dial: Dialler, attempt: int) -> None:
        url, params = await dial(attempt)
        if not self._freed:
            self._session.answer_dial(attempt, url, encode_text(params))
