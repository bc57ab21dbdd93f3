"""When was a source silent?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from shared.flow.intervals import Interval
from shared.flow.statistics.questions.fields import Fields, QuestionError, refusal
from shared.flow.statistics.silence import silence
from shared.flow.statistics.wall_hours import WallHours
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros, moment

_FIELDS = ("ask", "receipts", "timezone", "holidays", "budget", "as_of")
_INSTANT = "write an instant with its offset, such as 2026-03-06T12:00:00Z"
_RECEIPT = f"{_INSTANT}, or [first instant, step in seconds, number]"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_MOST = 5_000_000


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """The intervals, and what the table of `as_of` needs. Raises QuestionError."""
    fields = Fields(question, _FIELDS)
    zone, as_of = _zone(fields), _instant("as_of", fields.text("as_of", _INSTANT), _INSTANT)
    receipts = sorted(receipt for receipt in _receipts(fields) if receipt <= as_of)
    hours = WallHours(Weeks(receipts[0] if receipts else as_of, zone), _holidays(fields))
    found = silence(receipts, hours, fields.number("budget", Fraction(1, 10), above=0), as_of)
    return {"intervals": [_interval(interval) for interval in found.intervals], "need": found.need}


def _zone(fields: Fields) -> str:
    way_out = "write a time zone such as Europe/Berlin or UTC"
    name = fields.text("timezone", way_out, "UTC")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise fields.refused("timezone", way_out) from None
    return name


def _receipts(fields: Fields) -> Iterator[int]:
    number = 0
    for index, entry in enumerate(fields.items("receipts")):
        first, step, count = _series(f"receipts[{index}]", entry)
        number += count
        if number > _MOST:
            raise QuestionError(f"receipts: more than {_MOST}; ask about a shorter time")
        yield from (first + step * of for of in range(count))


def _series(place: str, entry: object) -> tuple[int, int, int]:
    """The first instant, the step in microseconds, and how many there are."""
    if not isinstance(entry, list):
        return _instant(place, entry, _RECEIPT), 0, 1
    if len(entry) != 3 or type(entry[1]) not in (int, Fraction) or type(entry[2]) is not int:
        raise refusal(place, entry, _RECEIPT)
    first, step, count = _instant(f"{place}[0]", entry[0], _INSTANT), entry[1] * 1_000_000, entry[2]
    if step < 0 or step != int(step) or count < 1:
        raise refusal(place, entry, "write a step of whole microseconds, 0 or more, and a number of 1 or more")
    if first + step * count > micros(datetime.fromisoformat(f"{_LAST_YEAR}-12-31T00:00:00+00:00")):
        raise refusal(place, entry, f"write a series that ends before the year {_LAST_YEAR + 1}")
    return first, int(step), count


def _instant(place: str, value: object, way_out: str) -> int:
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise refusal(place, value, way_out) from None
    if found.tzinfo is None or not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise refusal(place, value, f"{way_out}, from the year {_FIRST_YEAR} to {_LAST_YEAR}")
    return micros(found)


def _holidays(fields: Fields) -> Iterator[date]:
    for index, value in enumerate(fields.items("holidays", [])):
        try:
            yield date.fromisoformat(value if isinstance(value, str) and _DAY.fullmatch(value) else "")
        except ValueError:
            raise refusal(f"holidays[{index}]", value, "write a day such as 2026-12-25") from None


def _interval(found: Interval) -> dict[str, Any]:
    return {"opened_at": _iso(found.opened_at), "cleared_at": _iso(found.cleared_at), "peak": found.peak}


def _iso(instant: int | None) -> str | None:
    return None if instant is None else moment(instant).isoformat(timespec="microseconds").replace("+00:00", "Z")
