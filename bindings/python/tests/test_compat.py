# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in for the official client, against real servers."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Server, until

from pondsocket_native import DeclinedError, RejectedError, ServerError
from pondsocket_native.compat import (
    BaseClient,
    Channel,
    ChannelState,
    ClientOptions,
    ConnectionState,
    PondClient,
    PondEvent,
    PresencePayload,
    ResponseFailedError,
    ResponseTimeoutError,
    ServerMessage,
    TypedPresencePayload,
    WebSocketClient,
    pond_event,
    pond_schema,
)

TOKEN = {"token": "secret"}
rooms = itertools.count()


def room() -> str:
    return f"/chat/compat-{next(rooms)}"


def frame(event: str, payload: str) -> str:
    return f'{{"action":"BROADCAST","channelName":"$CHANNEL","event":"{event}","requestId":"r$I","payload":{payload}}}'


async def joined(client: PondClient, name: str, params: dict[str, Any] | None = None) -> Channel:
    channel = client.create_channel(name, params)
    channel.join()
    await until(lambda: channel.channel_state == ChannelState.JOINED)
    return channel


async def test_the_calls_of_a_first_program(chat: Server) -> None:
    client = PondClient(chat.url, TOKEN)
    await client.connect()
    texts: list[str] = []
    users: list[str] = []
    channel = client.create_channel(room(), {"username": "alice"})
    channel.on_message_event("message", lambda message: texts.append(message.payload["text"]))
    channel.on_join(lambda user: users.append(user["id"]))
    channel.join()
    channel.send_message("message", {"text": "hello"})
    response = await channel.send_for_response("ping", {"text": "abc"})
    assert response["text"] == "abc"
    await until(lambda: texts == ["hello"] and users == ["alice"])
    await client.disconnect()
    assert client.get_state() is ConnectionState.DISCONNECTED and str(client.get_state()) == "disconnected"
    assert channel.channel_state is ChannelState.CLOSED and str(channel.channel_state) == "CLOSED"


async def test_states(own_server: Server) -> None:
    client = PondClient(own_server.url, TOKEN, ClientOptions(base_reconnect_delay=0.05, max_reconnect_delay=0.1))
    assert isinstance(client, WebSocketClient) and isinstance(client, BaseClient)
    connection: list[ConnectionState] = []
    states: list[ChannelState] = []
    stop = client.on_connection_change(connection.append)
    channel = client.create_channel(room())
    channel.on_channel_state_change(states.append)
    channel.join()
    assert channel.channel_state == "JOINING", "told at once, and deferred while there is no connection"
    await client.connect()
    await client.connect()
    assert client.get_state() == "connected"
    await until(lambda: channel.channel_state == "JOINED")
    own_server.kill()
    await until(lambda: channel.channel_state == "STALLED")
    own_server.start()
    await until(lambda: channel.channel_state == "JOINED")
    assert states == ["IDLE", "JOINING", "JOINED", "STALLED", "JOINED"]
    assert connection[:4] == ["disconnected", "connecting", "connected", "disconnected"]
    assert connection[-1] == "connected"
    stop()
    assert client.create_channel(channel.name) is channel
    channel.leave()
    channel.leave()
    assert states[-1] == "CLOSED"
    again = client.create_channel(channel.name)
    assert again is not channel
    again.join()
    await until(lambda: again.channel_state == "JOINED")
    await client.disconnect()
    assert connection[-1] == "connected", "unsubscribed"
    await client.connect()
    assert client.get_state() == "connected"
    await client.disconnect()


async def test_failures_of_the_connection_go_to_on_error(server: Server) -> None:
    for url, params, kind in (
        (server.url, {"token": "wrong"}, RejectedError),
        ("ws://127.0.0.1:1/", {}, ConnectionError),
        ("ftp://127.0.0.1/", {}, ValueError),
    ):
        client = PondClient(url, params, ClientOptions(max_reconnect_attempts=0))
        errors: list[BaseException] = []
        client.on_error(errors.append)
        await client.connect()
        assert client.get_state() == "disconnected"
        assert [isinstance(error, kind) for error in errors] == [True], errors


async def test_query_and_params(server: Server) -> None:
    client = PondClient(server.url + "?greet=1&name=a", {"token": "secret", "many": ["x", "y"], "flag": True})
    assert client._resolve_url().endswith("?greet=1&name=a&token=secret&many=x&many=y&flag=True")
    await client.connect()
    assert client.get_state() == "connected"
    await client.disconnect()


async def test_responses(server: Server) -> None:
    client = PondClient(server.script, {}, ClientOptions(response_timeout=0.1))
    await client.connect()
    channel = await joined(client, "/r")
    assert await channel.send_for_response("reply", {"n": 1}, wait=5) == {"n": 1}
    with pytest.raises(ResponseTimeoutError):
        await channel.send_for_response("unanswered")
    with pytest.raises(ResponseFailedError, match="broken") as caught:
        await channel.send_for_response("error-js", {"code": 500, "message": "broken"}, wait=5)
    assert isinstance(caught.value.error, ServerError)
    pending = asyncio.create_task(channel.send_for_response("unanswered", wait=30))
    await asyncio.sleep(0)
    channel.leave()
    with pytest.raises(ResponseTimeoutError):
        await pending
    with pytest.raises(ResponseTimeoutError, match="closed"):
        await channel.send_for_response("reply")
    channel.send_message("ignored", {})
    other = await joined(client, "/other")
    pending = asyncio.create_task(other.send_for_response("unanswered", wait=30))
    await asyncio.sleep(0)
    await client.disconnect()
    with pytest.raises(ResponseFailedError):
        await pending


async def test_cancelling(server: Server) -> None:
    client = PondClient(server.script)
    await client.connect()
    channel = await joined(client, "/c")
    pending = asyncio.create_task(channel.send_for_response("unanswered", wait=30))
    await asyncio.sleep(0)
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    assert not client._pump._requests
    await client.disconnect()


async def test_declined_is_the_end_of_a_channel(server: Server) -> None:
    client = PondClient(server.script)
    await client.connect()
    channel = client.create_channel("/d", {"mode": "decline", "dialect": "python", "message": "no"})
    channel.join()
    await until(lambda: channel.channel_state == "DECLINED")
    with pytest.raises(ResponseFailedError) as caught:
        await channel.send_for_response("x")
    assert isinstance(caught.value.error, DeclinedError)
    channel.join()
    assert channel.channel_state == "DECLINED"
    channel.send_message("ignored")
    again = client.create_channel("/d", {})
    again.join()
    await until(lambda: again.channel_state == "JOINED")
    await client.disconnect()


async def test_evicted(server: Server) -> None:
    client = PondClient(server.url, TOKEN)
    await client.connect()
    channel = await joined(client, room(), {"username": "anna"})
    channel.send_message("evict", {"username": "anna"})
    await until(lambda: channel.channel_state == "CLOSED")
    await client.disconnect()


async def test_messages(server: Server) -> None:
    client = PondClient(server.script)
    await client.connect()
    channel = await joined(client, "/m")
    everything: list[ServerMessage] = []
    some: list[ServerMessage] = []
    stop = channel.on_message(everything.append)
    channel.on_message_event("b", some.append)
    channel.send_message("raw", {"frames": [frame("a", "{}"), frame("b", '{"x": 1}'), frame("b:c", "{}")]})
    await until(lambda: len(everything) == 3)
    assert [message.event for message in everything] == ["a", "b", "b:c"]
    assert [(m.event, m.channel_name, m.request_id, m.payload, m.raw) for m in some] == [
        ("b", "/m", "r0", {"x": 1}, b'{"x": 1}')
    ]
    stop()
    stop()
    channel.send_message("raw", {"frames": [frame("b", "{}")]})
    await until(lambda: len(some) == 2)
    assert len(everything) == 3
    await client.disconnect()


async def test_fifty_thousand_in_order(server: Server) -> None:
    client = PondClient(server.script)
    await client.connect()
    channel = await joined(client, "/flood")
    numbers: list[int] = []
    channel.on_message_event("n", lambda message: numbers.append(message.payload))
    channel.send_message("raw", {"frames": [frame("n", "$I")], "count": 50_000})
    await until(lambda: len(numbers) == 50_000)
    assert numbers == list(range(numbers[0], numbers[0] + 50_000))
    await client.disconnect()


async def test_a_failing_handler(server: Server) -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context["exception"]))
    client = PondClient(server.script)
    await client.connect()
    channel = await joined(client, "/f")
    heard: list[ServerMessage] = []
    channel.on_message(lambda message: message.payload["missing"])
    channel.on_message(heard.append)
    channel.send_message("raw", {"frames": [frame("a", "{}"), frame("b", "{}")]})
    await until(lambda: len(heard) == 2)
    assert [type(problem) for problem in problems] == [KeyError, KeyError]
    await client.disconnect()


async def test_presence(chat: Server) -> None:
    name = room()
    anna, bert = PondClient(chat.url, TOKEN), PondClient(chat.url, TOKEN)
    await anna.connect()
    await bert.connect()
    first = await joined(anna, name, {"username": "anna"})
    joins: list[Any] = []
    leaves: list[Any] = []
    changes: list[PresencePayload] = []
    lists: list[list[str]] = []
    first.on_join(lambda user: joins.append(user["id"]))
    first.on_leave(lambda user: leaves.append(user["id"]))
    first.on_presence_change(changes.append)
    first.on_users_change(lambda users: lists.append(sorted(user["id"] for user in users)))
    second = await joined(bert, name, {"username": "bert"})
    await until(lambda: "bert" in joins)
    second.send_message("status", {"status": "away"})
    await until(lambda: changes)
    assert len(changes[0].presence) == 2
    second.leave()
    await until(lambda: leaves == ["bert"])
    assert lists[-1] == ["anna"] and ["anna", "bert"] in lists
    assert [user["id"] for user in first.presence] == ["anna"]
    await anna.disconnect()
    await bert.disconnect()


@dataclass
class Ping:
    n: int


@dataclass
class Pong:
    n: int
    room: str


@dataclass
class User:
    id: str
    status: str
    userId: str = ""


async def test_typed_channels(server: Server) -> None:
    client = PondClient(server.url, TOKEN)
    await client.connect()
    name = room()
    channel = client.create_typed_channel(pond_schema("chat", User), name, {"username": "anna"})
    ping = pond_event("ping", Ping, Pong)
    told: PondEvent[Ping, None] = pond_event("told", Ping)
    heard: list[Ping] = []
    users: list[User] = []
    changes: list[TypedPresencePayload[User]] = []
    channel.on(told, heard.append)
    channel.on_join(users.append)
    channel.on_presence_change(changes.append)
    channel.join()
    assert await channel.request(ping, Ping(1)) == Pong(1, name.removeprefix("/chat/"))
    channel.send(pond_event("tell-and-reply", Ping), Ping(2))
    channel.send(pond_event("status", dict[str, str]), {"status": "away"})
    await until(lambda: heard == [Ping(2)] and changes)
    assert [(user.id, user.status) for user in users] == [("anna", "online")]
    assert [(user.id, user.status) for user in changes[0].presence] == [("anna", "away")]
    assert channel.presence == changes[0].presence
    channel.leave()
    await client.disconnect()


async def test_the_queue_drops_the_oldest(server: Server) -> None:
    client = PondClient(server.url, TOKEN, ClientOptions(max_queue_size=2))
    channel = client.create_channel(room(), {"username": "anna"})
    texts: list[int] = []
    channel.on_message_event("message", lambda message: texts.append(message.payload["n"]))
    for number in range(4):
        channel.send_message("message", {"n": number})
    channel.join()
    await client.connect()
    await until(lambda: sorted(texts) == [2, 3])
    await client.disconnect()
