# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what the runner says (../../runner/bench.c) with the official Python client."""

import asyncio
import json
import logging
import sys

from pondsocket_client import ClientOptions, PondClient

clients = []
connects = []
channels = {}
declines = {}
messages = {}
answers = {}
called = []


def subscribe(key, channel):
    messages[key] = []
    declines[key] = 0

    def on_state(state):
        declines[key] += state.value == "DECLINED"

    channel.on_channel_state_change(on_state)
    channel.on_message(lambda message: messages[key].append(message))


def channel_of(number, name, params=None):
    key = (number, name)
    if key not in channels:
        channels[key] = clients[number].create_channel(name, params)
        subscribe(key, channels[key])
    return channels[key]


async def ask(index, channel, event, payload, seconds):
    try:
        answers[index] = "reply " + json.dumps(await channel.send_for_response(event, payload, wait=seconds))
    except asyncio.CancelledError:
        answers[index] = "CancelledError in the caller"
    except Exception as error:
        answers[index] = f"error {type(error).__name__}"


async def run(words):
    command, rest = words[0], words[1:]
    if command == "new":
        options = ClientOptions(ping_interval=int(rest[2]) / 1000 or None)
        if int(rest[3]):
            options.connection_timeout = int(rest[3]) / 1000
        clients.append(PondClient(rest[0], json.loads(rest[1]), options))
        connects.append(0)
        number = len(clients) - 1

        def on_connection(state):
            connects[number] += state.name == "CONNECTED"

        clients[number].on_connection_change(on_connection)
        return "ok"
    number = int(rest[0]) if rest else 0
    if command == "connect":
        asyncio.create_task(clients[number].connect())
        return "ok"
    if command == "disconnect":
        await clients[number].disconnect()
        return "ok"
    if command == "state":
        return clients[number].get_state().name
    if command == "connects":
        return str(connects[number])
    if command == "answer":
        return answers.get(number, "pending")
    if command == "order":
        return "".join(called)
    name = rest[1]
    key = (number, name)
    if command == "join":
        channel_of(number, name, json.loads(rest[2])).join()
        return "ok"
    channel = channel_of(number, name)
    if command == "leave":
        channel.leave()
        return "ok"
    if command == "channel":
        return channel.channel_state.value
    if command == "declines":
        return str(declines[key])
    if command == "send":
        try:
            channel.send_message(rest[2], json.loads(rest[3]))
        except Exception as error:
            return f"error {type(error).__name__}"
        return "ok"
    if command == "ask":
        index = len(asking)
        asking.append(
            asyncio.create_task(ask(index, channel, rest[2], json.loads(rest[3]), int(rest[4]) / 1000))
        )
        return str(index)
    if command == "count":
        return str(sum(message.event == rest[2] for message in messages[key]))
    if command == "payload":
        found = [message.payload for message in messages[key] if message.event == rest[2]]
        return json.dumps(found[-1]) if found else "none"
    if command == "users":
        return json.dumps(channel.presence)
    if command == "watch":
        for digit in "12345678":
            channel.on_message_event(rest[2], lambda message, digit=digit: called.append(digit))
        return "ok"
    return "-"


asking = []


async def main():
    logging.disable(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await run(line.rstrip("\n").split("\t"))
        print(answer, flush=True)


asyncio.run(main())
