"""Reads events in their usual form without the contract's model, in a third of the time.

Lines of any other form, valid or not, are left to the contract: it alone says what is wrong. Many lines are read at
once, field by field, so that most of the work is not Python's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from operator import floordiv, sub
from sys import intern
from typing import Any, NamedTuple

import orjson

from shared.contracts.envelope import EARLIEST_YEAR, INDEXED_BYTES, LATEST_YEAR
from shared.contracts.events import DealEvent, EventType
from shared.flow.events import event_of
from shared.flow.visits import Event, EventKey
from shared.runtime.instants import EPOCH, micros

_RANKS = {kind.value: kind.rank for kind in EventType}
_NAME_LENGTH, _CURRENCY_LENGTH = 400, 12
_AMOUNT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12})?")
# Of one or more texts, joined. A text that itself has line ends is no time for what reads it afterwards.
_TIMES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z(?:\n|\Z))++")
_EARLIEST, _LATEST = (micros(datetime(year, 1, 1, tzinfo=UTC)) for year in (EARLIEST_YEAR, LATEST_YEAR))
_MICRO = timedelta(microseconds=1)
_STAGE_FIELDS = frozenset({"pipeline", "stage"})
# Those that were checked.
_STAGE_NAMES: dict[str, str] = {}
# From a tuple, in a third of the time that their constructors take.
_key, _event = partial(tuple.__new__, EventKey), partial(tuple.__new__, Event)


class ReadEvents(NamedTuple):
    """Events of lines, and of each when which source was heard: what silence needs."""

    events: list[Event]
    sources: list[str]
    received: list[int]


class Unusual(Exception):
    """The contract must read these lines."""


def usual_events(lines: Sequence[bytes]) -> ReadEvents | None:
    """The events of one or more lines; None where only the contract can tell of at least one."""
    # In a shorter line every text is short enough for an index, and for its field unless that is a name.
    if max(map(len, lines)) > INDEXED_BYTES or b"\\u0000" in b"".join(lines):
        return None
    try:
        return _read(list(map(orjson.loads, lines)))
    except (Unusual, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def of_contract(message: DealEvent) -> ReadEvents:
    """The same of one message of the contract."""
    return ReadEvents([event_of(message)], [message.source], [micros(message.receivedat or message.time)])


def _read(documents: Sequence[dict[str, Any]]) -> ReadEvents:
    if any(one["specversion"] != "1.0" or "translation" in one or "dataversion" in one for one in documents):
        raise Unusual
    times = _instants([one["time"] for one in documents])
    ranks = [_RANKS[one["type"]] for one in documents]
    keys = map(_key, zip(times, ranks, _names([one["id"] for one in documents]), strict=True))
    deals = map(intern, _names([one["subject"] for one in documents]))
    fields = [_fields(one["data"]) for one in documents]
    sources = list(map(intern, _names([one["source"] for one in documents])))
    events = list(map(_event, zip(deals, keys, fields, strict=True)))
    received = [one.get("receivedat") for one in documents]
    heard = [time if told is None else _instant(told) for time, told in zip(times, received, strict=True)]
    return ReadEvents(events, sources, heard)


def _fields(data: Any) -> dict[str, Any]:
    """The fields that events have, in the mapping itself where it has no others."""
    if type(data) is not dict:
        raise Unusual
    has_more = "owner" in data
    for name, value in data.items():
        if name in _STAGE_FIELDS and value in _STAGE_NAMES:
            data[name] = _STAGE_NAMES[value]
        elif name not in CHECKS:
            has_more = True
        elif value is not None:
            data[name] = CHECKS[name](value)
    # The owner is a person: nothing of it is kept.
    return {name: data[name] for name in data if name in CHECKS and name != "owner"} if has_more else data


def _names(values: list[Any]) -> list[str]:
    if set(map(type, values)) == {str} and all(values) and max(map(len, values)) <= _NAME_LENGTH:
        return values
    raise Unusual


def _name(value: Any) -> str:
    return _names([value])[0]


def _stage_name(value: Any) -> str:
    """The id of a pipeline or stage, which nearly every event has: checked, and kept in memory, once."""
    if type(value) is str and 0 < len(value) <= _NAME_LENGTH:
        return _STAGE_NAMES.setdefault(value, value)
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
    return _instants([value])[0]


def _instants(values: list[Any]) -> list[int]:
    """Microseconds since 1970 of times like 2026-03-02T09:00:00.5Z."""
    if not _TIMES.fullmatch("\n".join(values)):
        raise Unusual
    try:
        moments = map(datetime.fromisoformat, values)
        instants = list(map(floordiv, map(sub, moments, repeat(EPOCH)), repeat(_MICRO)))
    except ValueError:
        raise Unusual from None
    if min(instants) < _EARLIEST or max(instants) >= _LATEST:
        raise Unusual
    return instants


# `intern` takes texts only, and keeps in memory once what many events say.
CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "pipeline": _stage_name,
    "stage": _stage_name,
    "entered_at": _instant,
    "name": intern,
    "amount": _amount,
    "currency": _currency,
    "owner": intern,
    "expected_close": intern,
    "next_step_at": _instant,
    "reason": intern,
    "into": _name,
    "primary": _flag,
    "merged_from": _name,
    "activity": intern,
    "buyer": _flag,
    "url": intern,
}
