"""Reads events in their usual form without the contract's model, in a third of the time.

Lines of any other form, valid or not, are left to the contract: it alone says what is wrong. Many lines are read at
once, field by field, so that most of the work is not Python's. Lines whose members come in one order are cut by one
pattern: then data that comes again, like a move to a stage, is read once, and kept once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
# Of one or more texts, joined. A text that itself has line ends is no time for what reads it afterwards.
_TIMES = re.compile(rf"(?:{_TIME}(?:\n|\Z))++")
_EARLIEST, _LATEST = (micros(datetime(year, 1, 1, tzinfo=UTC)) for year in (EARLIEST_YEAR, LATEST_YEAR))
_MICRO = timedelta(microseconds=1)
_NAMED = ("id", "source", "type", "subject", "time")
_STAGE_FIELDS = frozenset({"pipeline", "stage"})
# Those that were checked, kept in memory once.
_STAGE_NAMES: dict[str, str] = {}
_MOST_STAGE_NAMES = 10_000


# The order in which Andon writes; other writers have other ones.
_CONTRACT_ORDER = ("specversion", "id", "source", "type", "subject", "time", "data")
_GROUPS = ("id", "source", "type", "subject", "time", "early", "data", "late")


class _Form(NamedTuple):
    """A way to write an event, and the numbers of the pattern's groups in the order of _GROUPS."""

    pattern: re.Pattern[str]
    groups: Sequence[int]


def _form(order: Sequence[str], pad: str) -> _Form:
    """Matches all of a line, after the end of the one before. `pad`: what follows commas and colons.

    A name without escapes is its own value. Types, data and the calendar are checked afterwards.
    """
    members = {name: rf'"{name}": "(?P<{name}>[^"\\\x00-\x1f]{{1,400}}+)"' for name in _NAMED}
    early, late = (rf'(?:, "receivedat": "(?P<{name}>{_TIME})")?' for name in ("early", "late"))
    members["specversion"] = r'"specversion": "1\.0"'
    members["time"] = rf'"time": "(?P<time>{_TIME})"{early}'
    members["data"] = r'(?:"dataversion": 1, )?"data": (?P<data>\{.*\})'
    text = ", ".join(members[name] for name in order) + late + '(?:, "translation": 0)?'
    pattern = re.compile(rf"\n\{{{text.replace(' ', pad)}\}}$", re.MULTILINE)
    return _Form(pattern, [pattern.groupindex[name] for name in _GROUPS])


class Forms:
    """The forms that lines were met in. Whatever is sent, no more than `most` are compiled: that takes milliseconds."""

    def __init__(self, most: int = 64) -> None:
        self._most, self._known = most, dict[tuple[str, ...], _Form]()

    def of(self, line: bytes) -> _Form | None:
        """How a line is written, if it can be told."""
        pad = " " if b'": ' in line[:20] else ""
        order = tuple(name for name in orjson.loads(line) if name in _CONTRACT_ORDER)
        if (found := self._known.get((pad, *order))) is not None:
            return found
        if len(order) < len(_CONTRACT_ORDER) or len(self._known) >= self._most:
            return None
        return self._known.setdefault((pad, *order), _form(order, pad))


_LINES = Forms()
# From a tuple, in a third of the time that their constructors take.
_key, _event = partial(tuple.__new__, EventKey), partial(tuple.__new__, Event)


class EventData(NamedTuple):
    """The fields of an event's data, and the same as JSON. Many events share one: nobody changes it."""

    fields: dict[str, Any]
    text: str


# By their JSON as it came, data with few fields: most of it comes again and again.
_KNOWN_DATA: dict[str, EventData] = {}
_MOST_KNOWN, _FEW_FIELDS = 4000, 3


class UsualEvent(NamedTuple):
    """One event, its data as JSON and its time as a datetime; `source` was heard at `received`."""

    event: Event
    text: str
    time: datetime
    source: str
    received: int


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
    if max(map(len, lines)) > INDEXED_BYTES:
        return None
    try:
        return _as_written(lines) or _read(lines)
    except (Unusual, orjson.JSONDecodeError, KeyError, TypeError):
        return None


class UsualMessages:
    """Reads messages one by one. Expects each to be written like the one before."""

    def __init__(self, forms: Forms | None = None) -> None:
        self._forms, self._form = forms or Forms(), _form(_CONTRACT_ORDER, "")

    def read(self, message: bytes) -> UsualEvent | None:
        """The event of a message; None where only the contract can tell."""
        if len(message) > INDEXED_BYTES:
            return None
        try:
            text = "\n" + message.decode()
            found = self._form.pattern.fullmatch(text) or self._match_anew(message, text)
            return None if found is None else _of_texts(*found.group(*self._form.groups))
        except (Unusual, ValueError, KeyError, TypeError):
            return None

    def _match_anew(self, message: bytes, text: str) -> re.Match[str] | None:
        form = self._forms.of(message)
        if form is None or form is self._form:
            return None
        self._form = form
        return form.pattern.fullmatch(text)


def _of_texts(
    event_id: str, source: str, kind: str, deal: str, time: str, early: str | None, raw: str, late: str | None
) -> UsualEvent:
    moment, told = datetime.fromisoformat(time), late or early
    instant = _within_years(micros(moment))
    fields, text = _KNOWN_DATA.get(raw) or _read_data(raw)
    received = instant if told is None else _within_years(micros(datetime.fromisoformat(told)))
    event = _event((deal, _key((instant, _RANKS[kind], event_id)), fields))
    return UsualEvent(event, text, moment, source, received)


def of_contract(message: DealEvent) -> ReadEvents:
    """The same of one message of the contract."""
    return ReadEvents([event_of(message)], [message.source], [micros(message.receivedat or message.time)])


def _as_written(lines: Sequence[bytes]) -> ReadEvents | None:
    """The events of lines that are all written like the first; None where they are not."""
    form = _LINES.of(lines[0])
    if form is None:
        return None
    try:
        text = b"\n".join([b"", *lines]).decode()
    except UnicodeDecodeError:
        return None
    found = form.pattern.findall(text)
    # Each match is all of a line: it begins and ends with one, and has no line end in it.
    if not len(found) == len(lines) == text.count("\n"):
        return None
    columns = list(zip(*found, strict=True))
    ids, sources, types, deals, times, early, raw, late = (columns[group - 1] for group in form.groups)
    fields = [(_KNOWN_DATA.get(one) or _read_data(one)).fields for one in raw]
    received = [after or before or None for before, after in zip(early, late, strict=True)]
    return _events(ids, sources, types, deals, times, fields, received)


def _read_data(raw: str) -> EventData:
    if "\\u0000" in raw:
        raise Unusual
    fields = _fields(orjson.loads(raw))
    found = EventData(fields, orjson.dumps(fields).decode())
    if len(fields) <= _FEW_FIELDS:
        if len(_KNOWN_DATA) >= _MOST_KNOWN:
            _KNOWN_DATA.clear()
        _KNOWN_DATA[raw] = found
    return found


def _read(lines: Sequence[bytes]) -> ReadEvents:
    """The events of lines whose members come in any order."""
    if b"\\u0000" in b"".join(lines):
        raise Unusual
    documents = list(map(orjson.loads, lines))
    if not all(one["specversion"] == "1.0" and _is_first(one) for one in documents):
        raise Unusual
    ids, sources, types, deals, times = ([one[name] for one in documents] for name in _NAMED)
    for texts in (ids, sources, deals):
        _check_names(texts)
    fields = [_fields(one["data"]) for one in documents]
    return _events(ids, sources, types, deals, times, fields, [one.get("receivedat") for one in documents])


def _is_first(document: Mapping[str, Any]) -> bool:
    """Whether its data is of the first version, in the first translation."""
    if "dataversion" not in document and "translation" not in document:
        return True
    numbers = document.get("dataversion", 1), document.get("translation", 0)
    return numbers == (1, 0) and set(map(type, numbers)) == {int}


def _events(
    ids: Iterable[str],
    sources: Iterable[str],
    types: Iterable[str],
    deals: Iterable[str],
    times: Sequence[Any],
    fields: Iterable[dict[str, Any]],
    received: Sequence[Any],
) -> ReadEvents:
    """Of columns whose names and data are checked."""
    instants = _instants(times)
    keys = map(_key, zip(instants, map(_RANKS.__getitem__, types), ids, strict=True))
    events = list(map(_event, zip(map(intern, deals), keys, fields, strict=True)))
    heard = [time if told is None else _instant(told) for time, told in zip(instants, received, strict=True)]
    return ReadEvents(events, list(map(intern, sources)), heard)


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


def _check_names(values: Sequence[Any]) -> None:
    if set(map(type, values)) != {str} or not all(values) or max(map(len, values)) > _NAME_LENGTH:
        raise Unusual


def _name(value: Any) -> str:
    _check_names([value])
    return str(value)


def _stage_name(value: Any) -> str:
    """The id of a pipeline or stage, which nearly every event has: checked, and kept in memory, once."""
    if type(value) is str and 0 < len(value) <= _NAME_LENGTH:
        if len(_STAGE_NAMES) >= _MOST_STAGE_NAMES:
            _STAGE_NAMES.clear()
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


def _instants(values: Sequence[Any]) -> list[int]:
    """Microseconds since 1970 of times like 2026-03-02T09:00:00.5Z."""
    if not _TIMES.fullmatch("\n".join(values)):
        raise Unusual
    try:
        moments = map(datetime.fromisoformat, values)
        instants = list(map(floordiv, map(sub, moments, repeat(EPOCH)), repeat(_MICRO)))
    except ValueError:
        raise Unusual from None
    _within_years(min(instants))
    _within_years(max(instants))
    return instants


def _within_years(instant: int) -> int:
    if _EARLIEST <= instant < _LATEST:
        return instant
    raise Unusual


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
