# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels whose payloads and presences are dataclasses or Pydantic models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from .._core import Message
from ._channel import Channel
from ._types import ChannelState, ChannelStateHandler, MessageHandler, PondObject, PresencePayload, Unsubscribe

PayloadT = TypeVar("PayloadT")
ResponseT = TypeVar("ResponseT")
PresenceT = TypeVar("PresenceT")
AssignsT = TypeVar("AssignsT")
JoinParamsT = TypeVar("JoinParamsT")


@dataclass(frozen=True, slots=True)
class PondEvent(Generic[PayloadT, ResponseT]):
    """An event's name with the types of its payload and response."""

    name: str
    payload_type: type[PayloadT] | None = None
    response_type: type[ResponseT] | None = None


@dataclass(frozen=True, slots=True)
class PondSchema(Generic[PresenceT, AssignsT, JoinParamsT]):
    """The types of a channel."""

    name: str = ""
    presence_type: type[PresenceT] | None = None
    assigns_type: type[AssignsT] | None = None
    join_params_type: type[JoinParamsT] | None = None


@dataclass(frozen=True, slots=True)
class TypedPresencePayload(Generic[PresenceT]):
    """What a presence handler of a typed channel is told."""

    changed: PresenceT
    presence: list[PresenceT]


def pond_event(
    name: str,
    payload_type: type[PayloadT] | None = None,
    response_type: type[ResponseT] | None = None,
) -> PondEvent[PayloadT, ResponseT]:
    """Makes a PondEvent."""
    return PondEvent(name, payload_type, response_type)


def pond_schema(
    name: str = "",
    presence_type: type[PresenceT] | None = None,
    assigns_type: type[AssignsT] | None = None,
    join_params_type: type[JoinParamsT] | None = None,
) -> PondSchema[PresenceT, AssignsT, JoinParamsT]:
    """Makes a PondSchema."""
    return PondSchema(name, presence_type, assigns_type, join_params_type)


def to_pond_object(value: object | None) -> PondObject:
    """A dict of a mapping, dataclass or Pydantic model. TypeError: of anything else."""
    if value is None:
        return {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    dump = getattr(value, "model_dump", None)
    made = dump() if callable(dump) else value
    if isinstance(made, Mapping):
        return dict(made)
    raise TypeError(f"{type(value).__name__} is not a mapping, dataclass or Pydantic model")


def from_pond_object(value: Any, target_type: type[Any] | None = None) -> Any:
    """The dataclass or Pydantic model of a dict; the value itself for any other type."""
    if value is None or target_type is None:
        return value
    validate = getattr(target_type, "model_validate", None)
    if callable(validate):
        return validate(value)
    if isinstance(value, Mapping) and dataclasses.is_dataclass(target_type):
        return target_type(**value)
    return value


class TypedChannel(Generic[PresenceT]):
    """A channel that speaks in the types of a schema."""

    __slots__ = ("_presence_type", "_raw")

    def __init__(self, raw: Channel, presence_type: type[PresenceT] | None = None) -> None:
        self._raw = raw
        self._presence_type = presence_type

    @property
    def raw(self) -> Channel:
        """The channel itself."""
        return self._raw

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._raw.name

    @property
    def channel_state(self) -> ChannelState:
        """As `Channel.channel_state`."""
        return self._raw.channel_state

    @property
    def presence(self) -> list[PresenceT]:
        """As `Channel.presence`."""
        return self._everybody(self._raw.presence)

    def join(self) -> None:
        """As `Channel.join`."""
        self._raw.join()

    def leave(self) -> None:
        """As `Channel.leave`."""
        self._raw.leave()

    def send(self, event: PondEvent[PayloadT, ResponseT], payload: PayloadT) -> None:
        """As `Channel.send_message`."""
        self._raw.send_message(event.name, to_pond_object(payload))

    async def request(
        self,
        event: PondEvent[PayloadT, ResponseT],
        payload: PayloadT,
        *,
        wait: float | None = None,
    ) -> ResponseT:
        """As `Channel.send_for_response`."""
        answer = await self._raw.send_for_response(event.name, to_pond_object(payload), wait=wait)
        return cast(ResponseT, from_pond_object(answer, event.response_type))

    def on(self, event: PondEvent[PayloadT, ResponseT], callback: Callable[[PayloadT], None]) -> Unsubscribe:
        """As `Channel.on_message_event`, with the payload."""

        def told(message: Message) -> None:
            callback(cast(PayloadT, from_pond_object(message.payload, event.payload_type)))

        return self._raw.on_message_event(event.name, told)

    def on_message(self, callback: MessageHandler) -> Unsubscribe:
        """As `Channel.on_message`."""
        return self._raw.on_message(callback)

    def on_channel_state_change(self, callback: ChannelStateHandler) -> Unsubscribe:
        """As `Channel.on_channel_state_change`."""
        return self._raw.on_channel_state_change(callback)

    def on_join(self, callback: Callable[[PresenceT], None]) -> Unsubscribe:
        """As `Channel.on_join`."""
        return self._raw.on_join(lambda presence: callback(self._one(presence)))

    def on_leave(self, callback: Callable[[PresenceT], None]) -> Unsubscribe:
        """As `Channel.on_leave`."""
        return self._raw.on_leave(lambda presence: callback(self._one(presence)))

    def on_presence_change(self, callback: Callable[[TypedPresencePayload[PresenceT]], None]) -> Unsubscribe:
        """As `Channel.on_presence_change`."""

        def told(payload: PresencePayload) -> None:
            callback(TypedPresencePayload(self._one(payload.changed), self._everybody(payload.presence)))

        return self._raw.on_presence_change(told)

    def on_users_change(self, callback: Callable[[list[PresenceT]], None]) -> Unsubscribe:
        """As `Channel.on_users_change`."""
        return self._raw.on_users_change(lambda users: callback(self._everybody(users)))

    def _one(self, value: object) -> PresenceT:
        return cast(PresenceT, from_pond_object(value, self._presence_type))

    def _everybody(self, values: list[Any]) -> list[PresenceT]:
        return [self._one(value) for value in values]


def typed_channel(raw: Channel, schema: PondSchema[PresenceT, AssignsT, JoinParamsT]) -> TypedChannel[PresenceT]:
    """The channel with the schema's types."""
    return TypedChannel(raw, schema.presence_type)
