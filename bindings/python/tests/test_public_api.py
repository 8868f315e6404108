# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in has every public name of the official package as it is installed, with the same signatures."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pondsocket_client
import pondsocket_common
import pytest

from pondsocket_native import compat

# What a program cannot use here, and why.
ABSENT = {
    "Channel.__init__": "channels are made by create_channel: the library is their transport",
    "Channel.handle_event": "the library delivers the events",
    "Channel.handle_connection_state": "the library delivers the states",
}


def signature(function: Any) -> list[tuple[str, str, object]]:
    """Names, kinds and defaults; dataclasses differ in their identity only."""
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind.name, parameter.default) for parameter in parameters]


def members(kind: type) -> dict[str, Any]:
    """Its public functions and properties, and those of its bases."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        for name, value in vars(base).items():
            if name == "__init__" or not name.startswith("_"):
                found[name] = value
    return found


NAMES = sorted(name for name in pondsocket_client.__all__ if name != "__version__")


@pytest.mark.parametrize("name", NAMES)
def test_public_name(name: str) -> None:
    theirs, ours = getattr(pondsocket_client, name), getattr(compat, name)
    assert name in compat.__all__
    if isinstance(theirs, (int, float, type(None))):
        assert theirs == ours
        return
    if inspect.isfunction(theirs):
        assert signature(theirs) == signature(ours)
        return
    if not inspect.isclass(theirs):
        return  # an alias of a type
    our_members = members(ours)
    for member, value in members(theirs).items():
        where = f"{name}.{member}"
        if where in ABSENT:
            continue
        assert member in our_members, where
        mine = our_members[member]
        assert isinstance(value, property) == isinstance(mine, property), where
        if inspect.isfunction(value):
            assert signature(value) == signature(mine), where
            assert inspect.iscoroutinefunction(value) == inspect.iscoroutinefunction(mine), where
    if issubclass(theirs, str):
        assert {each.name: each.value for each in theirs} == {each.name: each.value for each in ours}  # type: ignore[attr-defined]
    assert [base.__name__ for base in theirs.__mro__] == [base.__name__ for base in ours.__mro__]


def test_the_exceptions_of_the_list_are_still_needed() -> None:
    for where in ABSENT:
        kind, member = where.split(".")
        theirs = members(getattr(pondsocket_client, kind))[member]
        mine = members(getattr(compat, kind)).get(member)
        assert mine is None or signature(theirs) != signature(mine), where


@pytest.mark.parametrize("name", ["ChannelState", "PondEvent", "PondSchema", "TypedPresencePayload"])
def test_names_of_the_common_package(name: str) -> None:
    theirs, ours = getattr(pondsocket_common, name), getattr(compat, name)
    if dataclasses.is_dataclass(theirs):
        assert [field.name for field in dataclasses.fields(theirs)] == [field.name for field in dataclasses.fields(ours)]
    else:
        assert [each.value for each in theirs] == [each.value for each in ours]


@pytest.mark.parametrize("name", ["pond_event", "pond_schema", "to_pond_object", "from_pond_object"])
def test_functions_of_the_common_package(name: str) -> None:
    assert signature(getattr(pondsocket_common, name)) == signature(getattr(compat, name))
