"""Reads events in their usual form without the contract's model, in half the time.

A line of any other form, valid or not, is left to the contract: it alone says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

import orjson

from shared.contracts.envelope import EARLIEST_YEAR, INDEXED_BYTES, LATEST_YEAR
from shared.contracts.events import DealEvent, EventType
from shared.flow.events import event_of
from shared.flow.visits import Event, EventKey
from shared.runtime.instants import micros

_RANKS = {kind.value: kind.rank for kind in EventType}
_NAME_LENGTH, _CURRENCY_LENGTH = 400, 12
_AMOUNT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12})?")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6}))?Z")
_SECOND = 1_000_000


class ReadEvent(NamedTuple):
    """An event, and when its source was heard: what silence needs."""

    event: Event
    source: str
    received: int


class Unusual(Exception):
    """The contract must read this line."""


def usual_event(line: bytes) -> ReadEvent | None:
    """The event of a line; None where only the contract can tell."""
    # In a shorter line every text is short enough for an index, and for its field unless that is a name.
    if len(line) > INDEXED_BYTES or b"\\u0000" in line:
        return None
    try:
        return _read(orjson.loads(line))
    except (Unusual, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def of_contract(message: DealEvent) -> ReadEvent:
    """The same from a message of the contract."""
    return ReadEvent(event_of(message), message.source, micros(message.receivedat or message.time))


def _read(document: dict[str, Any]) -> ReadEvent:
    if document["specversion"] != "1.0" or "translation" in document or "dataversion" in document:
        raise Unusual
    time = _instant(document["time"])
    received = document.get("receivedat")
    key = EventKey(time, _RANKS[document["type"]], _name(document["id"]))
    event = Event(_repeated(document["subject"]), key, _fields(document["data"]))
    return ReadEvent(event, _repeated(document["source"]), time if received is None else _instant(received))


def _fields(data: Any) -> dict[str, Any]:
    if type(data) is not dict:
        raise Unusual
    found = {}
    for name, value in data.items():
        check = _CHECKS.get(name)
        if check is not None:
            found[name] = None if value is None else check(value)
    # That is a person: nothing of it is kept.
    found.pop("owner", None)
    return found


def _name(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= _NAME_LENGTH:
        return value
    raise Unusual


def _repeated(value: Any) -> str:
    """A name that many events have is kept in memory once."""
    return intern(_name(value))


def _text(value: Any) -> str:
    if type(value) is str:
        return intern(value)
    raise Unusual


def _currency(value: Any) -> str:
    if type(value) is str and len(value) <= _CURRENCY_LENGTH:
        return value
    raise Unusual


def _amount(value: Any) -> str:
    if type(value) is str and _AMOUNT.fullmatch(value):
        return value
    raise Unusual


def _flag(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise Unusual


def _instant(value: Any) -> int:
    found = _TIME.fullmatch(value)
    if found is None:
        raise Unusual
    day, hour, minute, second, fraction = found.groups()
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return _midnight(day) + seconds * _SECOND + (int(fraction.ljust(6, "0")) if fraction else 0)


@lru_cache(10_000)
def _midnight(day: str) -> int:
    try:
        found = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        raise Unusual from None
    if not EARLIEST_YEAR <= found.year < LATEST_YEAR:
        raise Unusual
    return micros(found)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "pipeline": _repeated,
    "stage": _repeated,
    "entered_at": _instant,
    "name": _text,
    "amount": _amount,
    "currency": _currency,
    "owner": _text,
    "expected_close": _text,
    "next_step_at": _instant,
    "reason": _text,
    "into": _name,
    "activity": _text,
    "buyer": _flag,
    "url": _text,
}
