# SPDX-License-Identifier: GPL-3.0-or-later
"""Between an event loop and a session: drains the queue when it has something, and keeps the account of requests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from ._core import Channel as CoreChannel
from ._core import Message, Session
from ._errors import PondError, from_status
from ._words import EVENT_REPLY, FOREVER

# How many events are delivered before the loop's other work gets its turn.
TURN = 512

Sink = Callable[[Message, CoreChannel | None], None]


def error_of(event: Message) -> PondError:
    """The exception that an event's error fields describe."""
    return from_status(event.status, event.error_code, event.error_message, event.http_status, event.details)


def milliseconds(seconds: float | None) -> int:
    """A timeout for the library: at least 1 ms, since its 0 means "the option's"; None is no limit."""
    if seconds is None:
        return FOREVER
    return max(1, min(round(seconds * 1000), FOREVER - 1))


class Pump:
    """Delivers a session's events on one event loop, from `attach` to `detach`."""

    def __init__(self, session: Session, sink: Sink) -> None:
        self.session = session
        self.loop: asyncio.AbstractEventLoop | None = None
        self._sink = sink
        self._fd = -1
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._requests: dict[int, asyncio.Future[Message]] = {}
        # Futures that only an event can complete: while there is one, nothing may stop the draining.
        self._waiting = 0
        self._full = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts to deliver on `loop`, by its add_reader, or through a socket where it has none (Windows' Proactor)."""
        if self.loop is loop:
            return
        if self.loop is not None and not self.loop.is_closed():
            raise RuntimeError("this client belongs to another event loop")
        self.detach()
        try:
            descriptor = self.session.fd()
            loop.add_reader(descriptor, self.drain)
            self._fd = descriptor
        except (NotImplementedError, PondError):
            self._attach_socket(loop)
        self.loop = loop

    def _attach_socket(self, loop: asyncio.AbstractEventLoop) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._sockets = (ours, theirs)
        # The library writes a byte to it, without the interpreter's lock: no foreign thread enters Python.
        self.session.set_wake(theirs.fileno())
        self._start_reading(loop, ours)

    def _start_reading(self, loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
        self._reading = loop.create_task(self._read(ours))

        def ended(task: asyncio.Task[None]) -> None:
            # asyncio.run cancels every task when it ends, while the program's own may still have a client to close.
            still_ours = self._sockets is not None and self._sockets[0] is ours and not loop.is_closed()
            if still_ours and (task.cancelled() or not isinstance(task.exception(), Exception)):
                self._start_reading(loop, ours)

        self._reading.add_done_callback(ended)

    async def _read(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self.session.drain(TURN, self._sink, self.report) and not self.session.paused:
                await asyncio.sleep(0)
            await loop.sock_recv(ours, 4096)

    def detach(self) -> None:
        """Stops to deliver."""
        loop, self.loop = self.loop, None
        if self._fd >= 0:
            if loop is not None and not loop.is_closed():
                loop.remove_reader(self._fd)
            self._fd = -1
        sockets, self._sockets = self._sockets, None
        reading, self._reading = self._reading, None
        if sockets is not None:
            self.session.set_wake(-1)
            if reading is not None and loop is not None and not loop.is_closed():
                reading.cancel()
            for end in sockets:
                end.close()

    def drain(self) -> None:
        """Delivers what waits, up to a turn's worth."""
        session = self.session
        try:
            if not session.drain(TURN, self._sink, self.report):
                return
        except BaseException:
            self._again()
            raise
        if not session.paused:
            # Some may be pulled already, where the descriptor no longer tells of them.
            self._again()

    def _again(self) -> None:
        if self.loop is not None and not self.loop.is_closed() and self._fd >= 0:
            self.loop.call_soon(self.drain)

    def report(self, callback: object, exception: BaseException) -> None:
        """Tells the loop of an exception in a handler; the others go on."""
        if self.loop is None:
            return
        self.loop.call_exception_handler(
            {"message": f"Exception in PondSocket handler {callback!r}", "exception": exception}
        )

    # What slow consumers hold back.

    def fill(self) -> None:
        """A consumer's buffer is full: no more is drained, and so the server is told to wait."""
        self._full += 1
        self._set_paused()

    def relieve(self) -> None:
        """That buffer has room again."""
        self._full -= 1
        self._set_paused()

    def _set_paused(self) -> None:
        paused = self._full > 0 and self._waiting == 0
        if paused == self.session.paused:
            return
        self.session.paused = paused
        if self.loop is None or self.loop.is_closed():
            return
        if self._fd >= 0:
            # A paused descriptor would stay readable and spin the loop.
            if paused:
                self.loop.remove_reader(self._fd)
            else:
                self.loop.add_reader(self._fd, self.drain)
                self._again()
        elif self._sockets is not None and not paused:
            with contextlib.suppress(BlockingIOError):
                self._sockets[1].send(b"\0")

    @contextlib.contextmanager
    def waiting(self) -> Any:
        """While inside, events are drained however full the consumers are."""
        self._waiting += 1
        self._set_paused()
        try:
            yield
        finally:
            self._waiting -= 1
            self._set_paused()

    # Requests.

    async def request(self, channel: CoreChannel, event: str, payload: str | bytes | None, timeout_ms: int) -> Message:
        """The reply. Cancelling the caller cancels the request."""
        ticket = channel.request(event, payload, timeout_ms)
        assert self.loop is not None
        future: asyncio.Future[Message] = self.loop.create_future()
        self._requests[ticket] = future
        with self.waiting():
            try:
                reply = await future
            except asyncio.CancelledError:
                self._requests.pop(ticket, None)
                with contextlib.suppress(PondError):
                    channel.cancel_request(ticket)
                raise
        if reply.status != 0:
            raise error_of(reply)
        return reply

    def reply(self, event: Message) -> bool:
        """Whether the event was the reply to a request of ours."""
        if event.kind != EVENT_REPLY:
            return False
        future = self._requests.pop(event.ticket, None)
        if future is not None and not future.done():
            future.set_result(event)
        return True
