# SPDX-License-Identifier: GPL-3.0-or-later
"""The asyncio client against real servers."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import threading
from typing import Any

import pytest
from conftest import Server, until

from pondsocket_native import (
    ChannelState,
    ChannelStateChange,
    Client,
    ClientState,
    ClientStateChange,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    DeclinedError,
    Dial,
    Dropped,
    EvictedError,
    HttpError,
    InvalidArgumentError,
    InvalidUrlError,
    Message,
    Overflow,
    PondError,
    PondTimeoutError,
    Presence,
    PresenceKind,
    QueueFullError,
    RejectedError,
    ServerError,
    TooLargeError,
)

TOKEN = {"token": "secret"}
rooms = itertools.count()


def room() -> str:
    return f"/chat/room-{next(rooms)}"


def frame(event: str, payload: str, channel: str = "$CHANNEL") -> str:
    return f'{{"action":"BROADCAST","channelName":"{channel}","event":"{event}","requestId":"r$I","payload":{payload}}}'


async def test_join_ask_send_and_listen(chat: Server) -> None:
    async with Client(chat.url, TOKEN) as client:
        assert client.state is ClientState.CONNECTED
        channel = await client.join(room(), {"username": "anna"})
        assert channel.state is ChannelState.JOINED
        reply = await channel.request("ping", {"n": 1})
        assert (reply.name, reply.payload["n"]) == ("pong", 1)
        channel.send("message", {"text": "grüß dich"})
        async for message in channel:
            if message.name == "message":
                break
        assert message.payload["text"] == "grüß dich"
        assert message.channel_name == channel.name
        assert message.raw.decode() == message.text
        assert message.payload is message.payload, "parsed once"
        assert client.stats.connects == 1
    assert (client.state.name, channel.state.name) == ("DISCONNECTED", "CLOSED")


async def test_a_bad_token(chat: Server) -> None:
    with pytest.raises((RejectedError, HttpError)) as caught:
        async with Client(chat.url, {"token": "wrong"}, max_reconnect_attempts=0):
            pass
    assert caught.value.status in (-32, -33)
    assert isinstance(caught.value, ConnectionError)


async def test_nobody_listens() -> None:
    client = Client("ws://127.0.0.1:1/", max_reconnect_attempts=0)
    with pytest.raises(ConnectError, match="refused") as caught:
        await client.connect()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.status, str(again)) == (ConnectError, -30, str(caught.value))
    client.abort()


async def test_the_last_failure_explains_a_timeout() -> None:
    client = Client("ws://127.0.0.1:1/", backoff=(0.02, 0.02))
    with pytest.raises(ConnectError):
        await client.connect(timeout=0.2)
    client.abort()


async def test_a_silent_server_is_a_timeout(server: Server) -> None:
    client = Client(server.script, {"noconn": "1"}, legacy_grace=None)
    with pytest.raises(PondTimeoutError):
        await client.connect(timeout=0.2)
    client.abort()


async def test_http_refusal(server: Server) -> None:
    url = server.url.replace("/api/socket", "/refuse/403")
    with pytest.raises(HttpError) as caught:
        async with Client(url):
            pass
    assert caught.value.http_status == 403


@pytest.mark.parametrize("dialect", ["js", "python", "go"])
async def test_a_declined_join(server: Server, dialect: str) -> None:
    async with Client(server.script) as client:
        params = {"mode": "decline", "dialect": dialect, "code": 403, "message": "No entry"}
        with pytest.raises(DeclinedError, match="No entry"):
            await client.join("/a", params)
        assert client.channel("/a").state is ChannelState.DECLINED
        with pytest.raises(DeclinedError):
            client.channel("/a").send("x")


async def test_a_join_without_answer(server: Server) -> None:
    async with Client(server.script, join_timeout=0.2) as client:
        with pytest.raises(PondTimeoutError) as caught:
            await client.join("/a", {"mode": "silent"})
        assert caught.value.http_status == 408
        assert client.channel("/a").state is ChannelState.DECLINED
    async with Client(server.script) as client:
        with pytest.raises(PondTimeoutError):
            await client.join("/a", {"mode": "silent"}, timeout=0.1)


async def test_errors_of_requests(server: Server) -> None:
    async with Client(server.script) as client:
        channel = await client.join("/a")
        with pytest.raises(ServerError, match="no such thing") as caught:
            await channel.request("error-js", {"code": 404, "message": "no such thing"})
        assert caught.value.status == -42
        with pytest.raises(TimeoutError):
            await channel.request("unanswered", timeout=0.1)
        pending = asyncio.create_task(channel.request("unanswered"))
        await asyncio.sleep(0)
        channel.send("drop")
        with pytest.raises(ConnectionLostError):
            await pending
        await until(lambda: channel.state is ChannelState.JOINED)
        assert (await channel.request("reply", {"n": 2})).payload == {"n": 2}


async def test_cancelling_the_caller_cancels_the_request(server: Server) -> None:
    async with Client(server.url, TOKEN) as client:
        channel = await client.join(room())
        late: list[Message] = []
        channel.on("slow", late.append)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await channel.request("slow", {"ms": 200})
        assert not client._pump._requests
        # Cancelled in the library: what comes later is an ordinary message.
        await until(lambda: late)


async def test_close_with_pending_requests(server: Server) -> None:
    client = Client(server.url, TOKEN)
    await client.connect()
    channel = await client.join(room())
    pending = [asyncio.create_task(channel.request("silent")) for _ in range(10)]
    await asyncio.sleep(0)
    await client.close()
    for result in await asyncio.gather(*pending, return_exceptions=True):
        assert isinstance(result, ClosedError)
    with pytest.raises(ClosedError):
        await client.connect()
    with pytest.raises(ClosedError):
        await client.join(room())


async def test_abort_with_pending_requests(server: Server) -> None:
    client = Client(server.url, TOKEN)
    await client.connect()
    channel = await client.join(room())
    pending = asyncio.create_task(channel.request("silent"))
    reading = asyncio.create_task(anext(channel.messages()))
    await asyncio.sleep(0)
    client.abort()
    with pytest.raises(ClosedError):
        await pending
    with pytest.raises(StopAsyncIteration):
        await reading


async def test_fifty_thousand_in_order(server: Server) -> None:
    async with Client(server.script) as client:
        channel = await client.join("/flood")
        messages = channel.messages()
        handled: list[int] = []
        channel.on("n", lambda message: handled.append(int(message.raw)))
        channel.send("raw", {"frames": [frame("n", "$I")], "count": 50_000})
        read = [(await anext(messages)).payload for _ in range(50_000)]
        assert read == list(range(read[0], read[0] + 50_000))
        assert handled == read


async def test_a_slow_reader_makes_the_server_wait(server: Server) -> None:
    async with Client(server.script, inbound_limit=(100, 1 << 20)) as client:
        channel = await client.join("/slow")
        async with channel.messages() as messages:
            channel.send("raw", {"frames": [frame("n", '{"i":$I,"pad":"' + "x" * 1000 + '"}')], "count": 20_000})
            inbox = messages._inbox
            await until(lambda: inbox.full)
            seen = -1
            while seen != len(inbox.buffer):
                seen = len(inbox.buffer)
                await asyncio.sleep(0.05)
            assert seen < 2_000, "reading did not stop"
            # A request while it is full: its answer is behind all those messages, and comes.
            assert (await channel.request("reply", {"n": 1}, timeout=60)).payload == {"n": 1}
            first = (await anext(messages)).payload["i"]
            for number in range(1, 20_000):
                assert (await anext(messages)).payload["i"] == first + number
        assert client._pump._full == 0


async def test_an_iterator_that_was_left_takes_no_more(server: Server) -> None:
    async with Client(server.script) as client:
        channel = await client.join("/left")
        channel.send("raw", {"frames": [frame("n", "$I")], "count": 3000})
        async for message in channel:
            assert message.name == "n"
            break
        assert not channel._inboxes
        assert (await channel.request("reply", {})).payload == {}
        assert client._pump._full == 0


async def test_messages_right_behind_the_join_are_kept(server: Server) -> None:
    async with Client(server.url, TOKEN) as client:
        channel = await client.join(room(), {"history": True})
        await channel.request("ping")
        async for message in channel:
            assert message.name == "history"
            break


async def test_patterns(server: Server) -> None:
    async with Client(server.script) as client:
        channel = client.channel("/p")
        heard: list[Any] = []
        channel.on("user/:id", lambda m: heard.append((m.param("id"), m.query("x"), m.param("no"))))
        channel.on("*", lambda m: heard.append(m.name))
        channel.on_message(lambda m: heard.append("all"))
        await channel.join()
        channel.send("raw", {"frames": [frame("user/a%20b?x=1", "{}"), frame("other", "{}")]})
        await until(lambda: len(heard) == 5)
        assert heard == [("a b", "1", None), "user/a%20b?x=1", "all", "other", "all"]


async def test_presence(chat: Server) -> None:
    name = room()
    async with Client(chat.url, TOKEN) as anna, Client(chat.url, TOKEN) as bert:
        heard: list[Presence] = []
        first = anna.channel(name, {"username": "anna"})
        first.on_presence(heard.append)
        await first.join()
        second = await bert.join(name, {"username": "bert"})
        await until(lambda: any(each.kind is PresenceKind.JOIN and each.changed["id"] == "bert" for each in heard))
        await until(lambda: sorted(user["id"] for user in second.presence) == ["anna", "bert"])
        second.send("status", {"status": "away"})
        await until(lambda: any(each.kind is PresenceKind.UPDATE for each in heard))
        second.leave()
        await until(lambda: heard[-1].kind is PresenceKind.LEAVE)
        assert [user["id"] for user in heard[-1].users] == ["anna"]
        assert [user["id"] for user in first.presence] == ["anna"]


async def test_the_server_dies_and_comes_back(own_server: Server) -> None:
    async with Client(own_server.url, TOKEN, backoff=(0.05, 0.1)) as client:
        changes: list[ClientStateChange] = []
        states: list[ChannelState] = []
        client.on_state(changes.append)
        channel = client.channel(room(), {"username": "anna"})
        channel.on_state(lambda change: states.append(change.state))
        await channel.join()
        own_server.kill()
        await until(lambda: channel.state is ChannelState.STALLED)
        channel.send("message", {"text": "meanwhile"})
        messages = channel.messages()
        own_server.start()
        await until(lambda: channel.state is ChannelState.JOINED)
        assert (await anext(messages)).payload["text"] == "meanwhile"
        assert isinstance(changes[0].error, ConnectionLostError)
        assert changes[0].retry_in is not None and changes[0].retry_in <= 0.1
        assert changes[-1].connect_count == 2
        assert states == [ChannelState.JOINING, ChannelState.JOINED, ChannelState.STALLED, ChannelState.JOINED]


async def test_leave_and_join_again(server: Server) -> None:
    async with Client(server.url, TOKEN) as client:
        channel = await client.join(room(), {"username": "anna"})
        changes: list[ChannelStateChange] = []
        channel.on_state(changes.append)
        pending = asyncio.create_task(channel.request("silent"))
        reading = asyncio.create_task(drain(channel.messages()))
        await asyncio.sleep(0)
        channel.leave()
        with pytest.raises(ClosedError):
            await pending
        await reading
        with pytest.raises(ClosedError):
            channel.send("message", {})
        await channel.join()
        assert (await channel.request("whoami")).payload["username"] == "anna"
        assert [change.state.name for change in changes] == ["CLOSED", "JOINING", "JOINED"]
        name = channel.name
        channel.close()
        assert channel.state is ChannelState.CLOSED
        assert client.channel(name) is not channel


async def drain(messages: Any) -> None:
    async for _ in messages:
        pass


async def test_evicted(server: Server) -> None:
    async with Client(server.url, TOKEN) as client:
        channel = await client.join(room(), {"username": "anna"})
        changes: list[ChannelStateChange] = []
        channel.on_state(changes.append)
        channel.send("evict", {"username": "anna", "reason": "noise"})
        await drain(channel)
        await until(lambda: changes)
        assert isinstance(changes[-1].error, EvictedError)


async def test_handlers_that_fail_do_not_harm_others(server: Server) -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context["exception"]))
    async with Client(server.script) as client:
        channel = client.channel("/h")
        heard: list[str] = []

        def fails(message: Message) -> None:
            raise ValueError(message.name)

        async def fails_later(message: Message) -> None:
            raise KeyError(message.name)

        def fails_at_state(change: ChannelStateChange) -> None:
            raise OSError("state")

        channel.on_message(fails)
        channel.on_message(fails_later)
        channel.on_state(fails_at_state)
        channel.on_message(lambda message: heard.append(message.name))
        await channel.join()
        channel.send("raw", {"frames": [frame("one", "{}"), frame("two", "{}")]})
        await until(lambda: len(problems) == 6)
        assert heard == ["one", "two"]
        kinds = [type(problem).__name__ for problem in problems]
        assert sorted(kinds) == ["KeyError", "KeyError", "OSError", "OSError", "ValueError", "ValueError"]


async def test_dropped_refused_writable(server: Server) -> None:
    client = Client(server.script, queue_limit=2, outbound_limit=10_000)
    channel = client.channel("/q")
    dropped: list[Dropped] = []
    channel.on_dropped(dropped.append)
    for number in range(4):
        channel.send("n", {"n": number})
    await client.connect()
    await until(lambda: sum(each.count for each in dropped) == 2)
    await channel.join()
    with pytest.raises(QueueFullError):
        while True:
            channel.send("n", {"pad": "x" * 4000})
    await asyncio.wait_for(channel.writable(), 10)
    channel.send("n", {"pad": "x" * 4000})
    assert await client.flush(10)
    # Room that came before it was asked for is not missed.
    rooms = channel._rooms
    with pytest.raises(QueueFullError):
        while True:
            channel.send("n", {"pad": "x" * 4000})
    await until(lambda: channel._rooms > rooms)
    await asyncio.wait_for(channel.writable(), 10)
    await client.close()
    refusing = Client(server.script, queue_limit=1, overflow=Overflow.REFUSE)
    refusing.channel("/q").send("n")
    with pytest.raises(QueueFullError):
        refusing.channel("/q").send("n")
    refusing.abort()


async def test_fresh_params_for_each_dial(own_server: Server) -> None:
    attempts: list[int] = []

    async def dial(attempt: int) -> Dial:
        attempts.append(attempt)
        return Dial(params=TOKEN)

    async with Client(own_server.url, {"token": "old"}, dial=dial, backoff=(0.05, 0.1)) as client:
        own_server.kill()
        await until(lambda: client.state is not ClientState.CONNECTED)
        own_server.start()
        await until(lambda: client.state is ClientState.CONNECTED)
        assert len(attempts) >= 2


async def test_endpoint_messages_headers_and_suspend(server: Server) -> None:
    client = Client(server.url, {**TOKEN, "greet": "1"}, headers={"X-Test": "yes"})
    greetings: list[Message] = []
    client.on_message(greetings.append)
    await client.connect()
    await until(lambda: greetings)
    assert greetings[0].payload["header"] == "yes"
    channel = await client.join(room())
    client.suspend()
    await until(lambda: channel.state is ChannelState.STALLED)
    client.resume()
    await until(lambda: channel.state is ChannelState.JOINED)
    await client.disconnect()
    assert channel.state is ChannelState.CLOSED
    await client.connect()
    await client.close()
    await client.close()


async def test_sends_from_other_threads(server: Server) -> None:
    async with Client(server.url, TOKEN) as client:
        channel = await client.join(room(), {"username": "anna"})
        messages = channel.messages()

        def work(k: int) -> None:
            for n in range(200):
                channel.send("message", {"k": k, "n": n})

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        heard: dict[int, list[int]] = {k: [] for k in range(4)}
        for _ in range(800):
            payload = (await anext(messages)).payload
            heard[payload["k"]].append(payload["n"])
        for thread in threads:
            thread.join()
        # The library sends each thread's in order; this server handles them concurrently.
        assert all(sorted(each) == list(range(200)) for each in heard.values())


def test_wrong_arguments() -> None:
    with pytest.raises(InvalidUrlError):
        Client("ftp://x")
    with pytest.raises(ValueError, match="queue_limit"):
        Client("ws://x", queue_limit=0)
    with pytest.raises(ValueError, match="headers"):
        Client("ws://x", headers={"a b": "c"})
    with pytest.raises(TypeError):
        Client(1)  # type: ignore[arg-type]
    client = Client("ws://127.0.0.1:1/", max_message_bytes=(1024, 1024))
    channel = client.channel("/x")
    with pytest.raises(InvalidArgumentError):
        channel.send("x", "[1]")
    with pytest.raises(TooLargeError):
        channel.send("x", {"pad": "x" * 5000})
    with pytest.raises(ValueError):
        channel.send("x", {"n": float("nan")})
    with pytest.raises(InvalidArgumentError):
        channel.send("")
    with pytest.raises(PondError):
        client.channel("")
    client.abort()
