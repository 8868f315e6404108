# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel: messages, requests, presence."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from ._core import Message
from ._errors import ClosedError, DeclinedError, PondError, QueueFullError
from ._events import ChannelStateChange, Dropped, Presence
from ._pump import error_of, milliseconds
from ._words import (
    EVENT_CHANNEL_ERROR,
    EVENT_CHANNEL_STATE,
    EVENT_DROPPED,
    EVENT_PRESENCE,
    EVENT_WRITABLE,
    ChannelState,
)

if TYPE_CHECKING:
    from ._client import Client

T = TypeVar("T")
Handler = Callable[[T], object]
Unsubscribe = Callable[[], None]
Payload = Mapping[str, Any] | str | bytes | None

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

# Messages that an iterator holds before the server is made to wait.
BUFFER = 1000


def encode(payload: Payload) -> str | bytes | None:
    """JSON for the library: text and bytes are JSON already, anything else is made so."""
    if payload is None or isinstance(payload, (str, bytes)):
        return payload
    return _encode(payload)


def encode_text(payload: Mapping[str, Any] | None) -> str | None:
    """JSON for the library, of params."""
    return None if payload is None else _encode(payload)


class _Inbox:
    """Where the messages for one iterator wait. The channel knows it, so that a forgotten iterator can end it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.buffer: deque[Message] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.full = False
        self.ended = channel._ended()
        channel._inboxes.add(self)
        self.unsubscribe = channel.on_message(self.push)

    def push(self, message: Message) -> None:
        """One more."""
        self.buffer.append(message)
        if self.waiter is not None:
            self.wake()
        if not self.full and len(self.buffer) >= BUFFER:
            self.full = True
            self.channel._client._pump.fill()

    def wake(self) -> None:
        """Tells the reader."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self) -> None:
        """No more come; what waits can still be read."""
        if not self.ended:
            self.ended = True
            self.wake()
        self.unsubscribe()
        self.channel._inboxes.discard(self)

    def relieve(self) -> None:
        """There is room again."""
        if self.full:
            self.full = False
            self.channel._client._pump.relieve()


class Messages(AsyncIterator[Message]):
    """The messages of a channel from the moment it was made, in order; ends when the channel is closed or declined.

    A slow reader makes the server wait, it loses nothing: beyond a thousand waiting messages the client reads no more,
    except while a request or join of the same client waits for its answer.
    """

    def __init__(self, channel: Channel) -> None:
        self._inbox = _Inbox(channel)

    def close(self) -> None:
        """Stops receiving; what waits can still be read. An iterator that is no longer referenced is closed."""
        self._inbox.end()
        self._inbox.relieve()

    def __del__(self) -> None:
        inbox = getattr(self, "_inbox", None)
        if inbox is None:
            return
        loop = inbox.channel._client._pump.loop
        if loop is None or loop.is_closed():
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            self.close()
        else:
            # The garbage collector may come by on any thread.
            loop.call_soon_threadsafe(inbox.end)
            loop.call_soon_threadsafe(inbox.relieve)

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        inbox = self._inbox
        while not inbox.buffer:
            if inbox.ended:
                inbox.relieve()
                raise StopAsyncIteration
            if inbox.waiter is not None:
                raise RuntimeError("two tasks read the same iterator")
            inbox.waiter = waiter = inbox.channel._client._loop().create_future()
            try:
                await waiter
            finally:
                inbox.waiter = None
        message = inbox.buffer.popleft()
        if inbox.full and len(inbox.buffer) <= BUFFER // 2:
            inbox.relieve()
        return message

    async def __aenter__(self) -> Messages:
        return self

    async def __aexit__(self, *unused: object) -> None:
        self.close()
        self._inbox.buffer.clear()


class Channel:
    """A named room on a client; made by `Client.channel` and `Client.join`.

    `send` and `send_volatile` may be called from any thread; everything else belongs to the client's event loop.
    """

    def __init__(self, client: Client, name: str, params: Mapping[str, Any] | None, *, keep: bool) -> None:
        self.name = name
        self._client = client
        self._core = client._session.channel(name, encode_text(params))
        self._core.owner = self
        self._handlers: dict[object, tuple[bytes | None, Callable[[Message], object]]] = {}
        self._listeners: dict[int, dict[object, Callable[[Any], object]]] = {}
        self._inboxes: set[_Inbox] = set()
        self._joining: set[asyncio.Future[None]] = set()
        self._writable: set[asyncio.Future[None]] = set()
        # How often there was room again, and how often at the start of the last send that was refused: the event may
        # come before anybody waits for it.
        self._rooms = 0
        self._rooms_before = -1
        # The state of the last event: it lags behind `state`.
        self._told = ChannelState.IDLE
        # Messages may follow the join before its caller can ask for them: these wait for the first who does.
        self._kept: deque[Message] | None = deque(maxlen=BUFFER) if keep else None
        self._refresh()

    def __repr__(self) -> str:
        return f"<Channel {self.name!r} {self.state.name}>"

    @property
    def state(self) -> ChannelState:
        """The newest state; handlers may not have heard of it yet. CLOSED once the client is closed."""
        if self._client._freed or self._core.owner is None:
            return ChannelState.CLOSED
        return ChannelState(self._core.state())

    @property
    def presence(self) -> list[Any]:
        """Who is there: the presences of the last presence message, kept while disconnected."""
        if self._client._freed or self._core.owner is None:
            return []
        users: list[Any] = json.loads(self._core.presence())
        return users

    def _ended(self) -> bool:
        return self.state in (ChannelState.CLOSED, ChannelState.DECLINED)

    # Joining and leaving.

    async def join(self, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> None:
        """Joins, and waits until the server has acknowledged; rejoins by itself after a lost connection.

        Args:
            params: the join params, instead of those the channel was made with.
            timeout: seconds; None = as long as the client tries. The join itself goes on.

        Raises:
            DeclinedError: the server refused.
            PondTimeoutError: the server did not answer within the join timeout (http_status 408; the channel is then
                DECLINED), or `timeout` was reached.
            EvictedError, ClosedError: the channel or client was closed meanwhile.
        """
        if params is not None:
            self._core.set_join_params(encode_text(params))
        client = self._client
        client._attach()
        future: asyncio.Future[None] = client._loop().create_future()
        self._core.join()
        if self.state is ChannelState.JOINED and self._told is ChannelState.JOINED:
            return
        self._joining.add(future)
        try:
            with client._pump.waiting():
                async with asyncio.timeout(timeout):
                    await future
        except TimeoutError as error:
            if isinstance(error, PondError):
                raise
            raise client._timed_out(f"{self.name} was not joined within {timeout} s") from None
        finally:
            self._joining.discard(future)

    def leave(self) -> None:
        """Leaves: waiting messages are reported as dropped, requests end with ClosedError, iterators end."""
        self._core.leave()

    def close(self) -> None:
        """Leaves and forgets the channel: `Client.channel` makes a new one of that name."""
        if self._core.owner is None:
            return
        self._client._session.free_channel(self._core)
        self._core.owner = None
        self._client._channels.pop(self.name, None)
        self._settle(ClosedError("the channel was closed", status=-20, code="CLOSED"))

    def set_join_params(self, params: Mapping[str, Any] | None) -> None:
        """The params of the next join, rejoins included."""
        self._core.set_join_params(encode_text(params))

    # Sending.

    def send(self, event: str, payload: Payload = None) -> None:
        """Sends: in order, queued while not joined. Never waits. Any thread.

        Args:
            payload: a mapping, or JSON of one object as str or bytes.

        Raises:
            QueueFullError: too much waits; nothing was taken. See `writable`.
            ClosedError, DeclinedError: the channel has ended.
            TooLargeError, InvalidArgumentError: the message itself.
        """
        rooms = self._rooms
        try:
            self._core.send(event, encode(payload))
        except QueueFullError:
            self._rooms_before = rooms
            raise

    def send_volatile(self, event: str, payload: Payload = None) -> bool:
        """Sends if it can be written right now, else forgets it: for positions and the like. Whether it was sent."""
        return self._core.send_volatile(event, encode(payload))

    async def writable(self) -> None:
        """Waits until there is room again after a QueueFullError; at once if there is by now. Raises ClosedError if the
        channel ends."""
        client = self._client
        client._attach()
        if self._rooms > self._rooms_before:
            return
        future: asyncio.Future[None] = client._loop().create_future()
        self._writable.add(future)
        try:
            with client._pump.waiting():
                await future
        finally:
            self._writable.discard(future)

    async def request(self, event: str, payload: Payload = None, *, timeout: float | None = None) -> Message:
        """Asks, and waits for the reply. Cancelling the caller cancels the request.

        Args:
            payload: as of `send`.
            timeout: seconds from now; None = the client's `response_timeout`.

        Raises:
            ServerError: the server answered with an error.
            PondTimeoutError: no answer in time.
            ConnectionLostError, ClosedError, DeclinedError, EvictedError: it can no longer come.
            And those of `send`.
        """
        self._client._attach()
        return await self._client._pump.request(
            self._core, event, encode(payload), 0 if timeout is None else milliseconds(timeout)
        )

    # Receiving.

    def __aiter__(self) -> Messages:
        return Messages(self)

    def messages(self) -> Messages:
        """The same as iterating the channel, to be kept, closed, or used with `async with`."""
        return Messages(self)

    def on_message(self, handler: Handler[Message]) -> Unsubscribe:
        """Calls `handler` for every message, in order. Coroutine functions run as tasks of the loop."""
        return self._register(None, handler)

    def on(self, pattern: str, handler: Handler[Message]) -> Unsubscribe:
        """Calls `handler` for the messages whose name matches: "message", "user/:id", "*".

        With a pattern, `message.param("id")` answers; ValueError for a pattern that can never be.
        """
        if not any(character in pattern for character in ":*?"):
            return self._register(pattern.encode(), handler)
        call = self._client._callable(handler)

        def matching(message: Message) -> None:
            found = message.match(pattern)
            if found is not None:
                call(found)

        return self._register(None, matching)

    def _register(self, name: bytes | None, handler: Handler[Message]) -> Unsubscribe:
        key = object()
        self._handlers[key] = (name, self._client._callable(handler))
        kept, self._kept = self._kept, None
        self._refresh()
        if kept:
            call = self._handlers[key][1]
            for message in kept:
                if name is None or message.name.encode() == name:
                    self._client._guarded(call, message)

        def unsubscribe() -> None:
            if self._handlers.pop(key, None) is not None:
                self._refresh()

        return unsubscribe

    def _refresh(self) -> None:
        if self._kept is not None:
            self._core.handlers = ((None, self._kept.append),)
        else:
            self._core.handlers = tuple(self._handlers.values())

    def _listen(self, kind: int, handler: Handler[Any]) -> Unsubscribe:
        key = object()
        self._listeners.setdefault(kind, {})[key] = self._client._callable(handler)
        return lambda: void(self._listeners[kind].pop(key, None))

    def on_presence(self, handler: Handler[Presence]) -> Unsubscribe:
        """Calls `handler` when somebody comes, changes or goes, and when only the list is new (kind LIST)."""
        return self._listen(EVENT_PRESENCE, handler)

    def on_state(self, handler: Handler[ChannelStateChange]) -> Unsubscribe:
        """Calls `handler` for each state that the channel reaches."""
        return self._listen(EVENT_CHANNEL_STATE, handler)

    def on_error(self, handler: Handler[PondError]) -> Unsubscribe:
        """Calls `handler` for each error of the channel, before the state that it causes."""
        return self._listen(EVENT_CHANNEL_ERROR, handler)

    def on_dropped(self, handler: Handler[Dropped]) -> Unsubscribe:
        """Calls `handler` for messages that will never be sent."""
        return self._listen(EVENT_DROPPED, handler)

    # Events.

    def _event(self, kind: int, event: Message) -> None:
        if kind == EVENT_CHANNEL_STATE:
            self._reached(ChannelState(event.state), event)
        elif kind == EVENT_WRITABLE:
            self._rooms += 1
            complete(self._writable, None)
        listeners = self._listeners.get(kind)
        if not listeners:
            return
        told = TOLD[kind](event)
        for listener in list(listeners.values()):
            self._client._guarded(listener, told)

    def _reached(self, state: ChannelState, event: Message) -> None:
        self._told = state
        if state is ChannelState.JOINED:
            complete(self._joining, None)
        elif state in (ChannelState.CLOSED, ChannelState.DECLINED):
            if event.status:
                error = error_of(event)
            elif state is ChannelState.DECLINED:
                error = DeclinedError("the join was declined", status=-40, code="DECLINED")
            else:
                error = ClosedError("the channel was left", status=-20, code="CLOSED")
            self._settle(error)

    def _settle(self, error: PondError) -> None:
        complete(self._joining, error)
        complete(self._writable, error)
        for inbox in list(self._inboxes):
            inbox.end()


TOLD: dict[int, Callable[[Message], Any]] = {
    EVENT_PRESENCE: Presence.of,
    EVENT_CHANNEL_STATE: ChannelStateChange.of,
    EVENT_CHANNEL_ERROR: error_of,
    EVENT_DROPPED: Dropped.of,
}


def complete(futures: set[asyncio.Future[None]], error: BaseException | None) -> None:
    """Completes all of them."""
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
    futures.clear()


def void(unused: object) -> None:
    """Makes a statement of an expression."""


def is_coroutine(handler: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine."""
    return iscoroutinefunction(handler) or iscoroutinefunction(getattr(handler, "__call__", None))
