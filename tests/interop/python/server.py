"""The interop application on the Python server packages: pondsocket and pondsocket-asgi, served by uvicorn.

What these packages cannot do:
- WebSocket declines of a connection: uvicorn answers every refusal with HTTP 403, code and message are lost.
- Declines of an event: an event context has no such method. The handler raises the package's own error, which the package
  swallows: the sender hears nothing.
- `reply-first`: the package refuses a reply before the accept, so the join is accepted without it.
- `twice`: the package ignores the second reply.
- `types` with `null`: the package writes `{}`.
- `close-channel`: the members are told nothing.
"""

import argparse
import asyncio
import logging
import os
import socket
import sys
import threading
from collections import defaultdict, deque

import redis.asyncio
import uvicorn
from pondsocket import ConnectionContext, EventContext, JoinContext, PondSocket
from pondsocket.channel import Channel
from pondsocket.distributed import RedisPubSub
from pondsocket.errors import PondError
from pondsocket.parser import parse
from pondsocket_asgi import PondASGIApp

ENDPOINT = "/api/socket"
ROOMS = "/chat/:room"
KEPT_MESSAGES = 20

history: defaultdict[str, deque] = defaultdict(lambda: deque(maxlen=KEPT_MESSAGES))
# The event loop holds tasks weakly; these must outlive the handler that started them.
background: set[asyncio.Task] = set()


class HandlerFailure(Exception):
    """What the throwing handlers throw."""


def room_of(channel: Channel) -> str:
    return parse(ROOMS, channel.name).param("room")


async def connect(ctx: ConnectionContext) -> None:
    query = dict(ctx.query)
    mode = query.get("mode", "accept")
    if mode == "silent":
        return
    if mode == "throw":
        raise HandlerFailure("the connection handler failed")
    if mode == "decline" or query.get("token") != "secret":
        ctx.decline(int(query.get("code", "401")), query.get("message", "Invalid token"))
        return
    name = query.get("name", "guest")
    ctx.accept(name=name)
    if query.get("greet") == "1":
        ctx.reply("welcome", {"name": name, "header": ctx.headers.get("x-test"), "query": query})


async def join(ctx: JoinContext) -> None:
    params = ctx.join_params
    mode = params.get("mode", "accept")
    if mode == "silent":
        return
    if mode == "throw":
        raise HandlerFailure("the join handler failed")
    if mode == "decline":
        await ctx.decline(params.get("code", 403), params.get("message", "No entry"))
        return
    if mode == "slow":
        await asyncio.sleep(params.get("delayMs", 0) / 1000)
    username = params.get("username") or await ctx.get_assign("name")
    await ctx.accept({"username": username})
    if params.get("presence", True):
        await ctx.track({"id": username, "status": "online"})
    if params.get("history"):
        await ctx.reply("history", {"messages": list(history[ctx.channel.name])})


def sender(ctx: EventContext) -> str:
    return ctx.user.assigns["username"]


async def users_named(ctx: EventContext, username: str) -> list[str]:
    assigns = await ctx.get_all_assigns()
    return [user for user, kept in assigns.items() if kept.get("username") == username]


async def message(ctx: EventContext) -> None:
    told = {**ctx.get_payload(), "from": sender(ctx)}
    history[ctx.channel.name].append(told)
    await ctx.broadcast("message", told)


async def others(ctx: EventContext) -> None:
    await ctx.broadcast_from("message", {**ctx.get_payload(), "from": sender(ctx)})


async def direct(ctx: EventContext) -> None:
    payload = ctx.get_payload()
    await ctx.broadcast_to("direct", {**payload, "from": sender(ctx)}, *await users_named(ctx, payload.get("to", "")))


async def ping(ctx: EventContext) -> None:
    await ctx.reply("pong", {**ctx.get_payload(), "room": room_of(ctx.channel)})


async def echo(ctx: EventContext) -> None:
    await ctx.reply("echo", ctx.get_payload())


async def twice(ctx: EventContext) -> None:
    await ctx.reply("first", {"n": 1})
    await ctx.reply("second", {"n": 2})


async def tell_and_reply(ctx: EventContext) -> None:
    await ctx.broadcast("told", ctx.get_payload())
    await ctx.reply("reply", ctx.get_payload())


async def whoami(ctx: EventContext) -> None:
    await ctx.reply("whoami", {"username": sender(ctx), "room": room_of(ctx.channel)})


async def user(ctx: EventContext) -> None:
    query = {key: values[0] for key, values in ctx.route.query.items()}
    await ctx.reply("user", {"id": ctx.route.param("id"), "query": query})


async def slow(ctx: EventContext) -> None:
    await asyncio.sleep(ctx.get_payload().get("ms", 0) / 1000)
    await ctx.reply("slow", ctx.get_payload())


async def silent(_ctx: EventContext) -> None:
    return


async def throw(_ctx: EventContext) -> None:
    raise HandlerFailure("the event handler failed")


async def decline(ctx: EventContext) -> None:
    payload = ctx.get_payload()
    raise PondError(payload.get("message", "Not allowed"), payload.get("code", 403))


async def status(ctx: EventContext) -> None:
    await ctx.update_presence({"id": sender(ctx), "status": ctx.get_payload().get("status")})


async def evict(ctx: EventContext) -> None:
    payload = ctx.get_payload()
    users = await users_named(ctx, payload["username"]) if "username" in payload else [ctx.user.id]
    # Without ids the package evicts the sender, who is not meant when nobody has that name.
    if users:
        await ctx.evict(payload.get("reason", "bye"), *users)


async def flood(ctx: EventContext) -> None:
    payload = ctx.get_payload()
    pad = "x" * payload.get("size", 0)
    for i in range(payload.get("count", 0)):
        await ctx.broadcast("flood", {"i": i, "pad": pad})


async def big(ctx: EventContext) -> None:
    await ctx.reply("big", {"data": "x" * ctx.get_payload().get("bytes", 0)})


async def deep(ctx: EventContext) -> None:
    data: list = []
    for _ in range(ctx.get_payload().get("levels", 1) - 1):
        data = [data]
    await ctx.reply("deep", {"data": data})


async def types(ctx: EventContext) -> None:
    payloads = {"array": [1, "two", None], "null": None, "string": "text", "number": 42}
    await ctx.reply("types", payloads[ctx.get_payload().get("type")])


async def close_channel(ctx: EventContext) -> None:
    await ctx.channel.close()


async def later(ctx: EventContext) -> None:
    channel = ctx.channel
    delay = ctx.get_payload().get("ms", 0) / 1000

    async def tell() -> None:
        await asyncio.sleep(delay)
        await channel.broadcast("news", {"n": 1})

    task = asyncio.create_task(tell())
    background.add(task)
    task.add_done_callback(background.discard)
    await ctx.reply("later", ctx.get_payload())


async def die(_ctx: EventContext) -> None:
    os._exit(1)


def application(pubsub: RedisPubSub | None) -> PondASGIApp:
    pond = PondSocket(pubsub=pubsub)
    endpoint = pond.create_endpoint(ENDPOINT, connect)
    lobby = endpoint.create_channel(ROOMS, join)

    async def close_me(ctx: EventContext) -> None:
        await endpoint.close_connection(ctx.user.id)

    handlers = {
        "message": message,
        "others": others,
        "direct": direct,
        "ping": ping,
        "echo": echo,
        "twice": twice,
        "tell-and-reply": tell_and_reply,
        "whoami": whoami,
        "user/:id": user,
        "slow": slow,
        "silent": silent,
        "throw": throw,
        "decline": decline,
        "status": status,
        "evict": evict,
        "flood": flood,
        "big": big,
        "deep": deep,
        "types": types,
        "close-me": close_me,
        "close-channel": close_channel,
        "later": later,
        "die": die,
    }
    for event, handler in handlers.items():
        lobby.on_message(event, handler)
    return PondASGIApp(pond)


class AnnouncingServer(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            print(f"listening ws://127.0.0.1:{sockets[0].getsockname()[1]}{ENDPOINT}", flush=True)


def end_with_stdin(server: uvicorn.Server) -> None:
    # Not sys.stdin: a thread that waits in its lock would disturb the interpreter's end.
    while os.read(0, 4096):
        pass
    server.should_exit = True


async def serve(port: int, redis_url: str | None, exit_on_stdin_eof: bool) -> None:
    pubsub = RedisPubSub(redis.asyncio.from_url(redis_url), owns_client=True) if redis_url else None
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(application(pubsub), log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = AnnouncingServer(config)
    if exit_on_stdin_eof:
        threading.Thread(target=end_with_stdin, args=(server,), daemon=True).start()
    try:
        await server.serve(sockets=[listener])
    finally:
        if pubsub is not None:
            await pubsub.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--exit-on-stdin-eof", action="store_true")
    parser.add_argument("--redis", metavar="URL", help="share channels with the other nodes on this Redis")
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    asyncio.run(serve(args.port, args.redis, args.exit_on_stdin_eof))


if __name__ == "__main__":
    main()
