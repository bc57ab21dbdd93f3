"""Reads the instants of a table as people and CRMs write them; what could be read in two ways is never guessed."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.importer.mapping import DateOrder
from services.importer.tables.base import Cell
from shared.runtime.instants import micros

_CLOCK = (
    r"(?:[T ,]\s*(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_FIGURES = re.compile(r"(?P<a>\d{1,4})(?P<sep>[-./])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4})\.?" + _CLOCK)
_DAY_FIRST = re.compile(
    r"(?P<day>\d{1,2})(?:\.|st|nd|rd|th|er|º)?[ -]+(?:de )?(?P<month>[a-z]{3,})\.?,?[ -]+(?:de )?(?P<year>\d{4})"
    + _CLOCK,
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    r"(?P<month>[a-z]{3,})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})" + _CLOCK, re.IGNORECASE
)
# January to December in English, German, French, Spanish, Dutch and Portuguese: how their names begin, without accents.
_MONTHS = (
    "jan ene",
    "feb fev",
    "mar mrz maa mrt",
    "apr avr abr",
    "may mai mei",
    "jun juin",
    "jul juil",
    "aug aou ago",
    "sep set",
    "oct okt out",
    "nov",
    "dec dez dic",
)
_EPOCH_MS = re.compile(r"\d{13}")
_ORDERS = {DateOrder.YMD: "abc", DateOrder.DMY: "cba", DateOrder.MDY: "cab"}
_DAY = timedelta(days=1)
FIRST_YEAR, LAST_YEAR = 1970, 9998
KEPT = 100_000


class DateFault(Exception):
    """A value is no instant; the message says what is expected."""


class When(NamedTuple):
    """An instant in microseconds, or a day: then `end` is the instant after its last; else the two are the same."""

    first: int
    end: int

    @property
    def whole_day(self) -> bool:
        return self.end > self.first


class Dates:
    """Reads instants as one table writes them. Of an hour that a change of the clocks repeats, the first is meant."""

    def __init__(self, order: DateOrder | None, zone: str) -> None:
        self._order, self._zone = order, ZoneInfo(zone)
        # Days come again and again in a table.
        self._kept = lru_cache(KEPT)(self._read_text)

    def read(self, cell: Cell) -> When | None:
        """None for an empty cell; raises DateFault."""
        if cell is None:
            return None
        if isinstance(cell, str):
            return self._kept(cell)
        if isinstance(cell, datetime):
            # A workbook and some exports know no days, only midnights.
            bare = cell.tzinfo is None and cell.time() == time()
            return self._day(cell.date()) if bare else self._instant(cell)
        if isinstance(cell, date):
            return self._day(cell)
        raise DateFault("is a number; write dates as dates, such as 2026-03-31")

    def _read_text(self, text: str) -> When | None:
        plain = text.strip()
        if not plain:
            return None
        if _EPOCH_MS.fullmatch(plain):
            return When(int(plain) * 1000, int(plain) * 1000)
        found = read_date(plain, self._order)
        return self._instant(found) if isinstance(found, datetime) else self._day(found)

    def _instant(self, moment: datetime) -> When:
        _counted(moment.year)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        instant = micros(aware.astimezone(UTC))
        return _checked(When(instant, instant))

    def _day(self, day: date) -> When:
        _counted(day.year)
        first, end = (datetime.combine(d, time(), self._zone).astimezone(UTC) for d in (day, day + _DAY))
        return _checked(When(micros(first), micros(end)))


def _counted(year: int) -> None:
    """The first and the last day of the calendar, by which some mean never, cannot be brought into another zone."""
    if year < FIRST_YEAR:
        raise DateFault(f"lies before {FIRST_YEAR}; mend it, or empty the cell")
    if year > LAST_YEAR:
        raise DateFault(f"lies after {LAST_YEAR}; mend it, or empty the cell")


def _checked(when: When) -> When:
    if when.end <= 0:
        raise DateFault(f"lies before {FIRST_YEAR}; mend it, or empty the cell")
    return when


def read_date(text: str, order: DateOrder | None) -> date | datetime:
    """A day, or a time with or without an offset; raises DateFault."""
    try:
        if len(text) >= 10 and text[4] == "-":
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        # Not quite ISO 8601; below is read what is near it.
        pass
    if match := _FIGURES.fullmatch(text):
        return _built(match, _figures(match, order))
    plain = unaccented(text)
    if match := _DAY_FIRST.fullmatch(plain) or _MONTH_FIRST.fullmatch(plain):
        return _built(match, (match["year"], str(_month(match["month"])), match["day"]))
    raise DateFault("is no date; write for example 2026-03-31 or 2026-03-31 14:05")


def orders_of(text: str) -> frozenset[DateOrder]:
    """The orders in which a text can be read; all where it does not depend on them; raises DateFault for none."""
    found, fault = set(), DateFault("")
    for order in DateOrder:
        try:
            read_date(text, order)
            found.add(order)
        except DateFault as error:
            fault = error
    if not found:
        raise fault
    return frozenset(found)


def _figures(match: re.Match[str], order: DateOrder | None) -> tuple[str, str, str]:
    if len(match["a"]) == 4:
        return match["a"], match["b"], match["c"]
    if order is None:
        raise DateFault("could be read in more than one way; say in the mapping which comes first: dates: dmy or mdy")
    year, month, day = (match[name] for name in _ORDERS[order])
    if len(year) not in (2, 4) or len(day) > 2:
        raise DateFault(f"is no date in the order {order.value}; mend it, or mend dates in the mapping")
    # Two figures are a year of this century: no CRM is older.
    return (year if len(year) == 4 else f"20{year}"), month, day


def _built(match: re.Match[str], parts: tuple[str, str, str]) -> date | datetime:
    try:
        day = date(*map(int, parts))
        if match["hour"] is None:
            return day
        hour = int(match["hour"])
        if match["half"]:
            hour = hour % 12 + (12 if match["half"][0] in "Pp" else 0)
        part = int((match["part"] or "0").ljust(6, "0")[:6])
        clock = time(hour, int(match["minute"]), int(match["second"] or 0), part, _offset(match["zone"]))
    except ValueError as error:
        raise DateFault(f"is no date: {error}; mend it, or mend dates in the mapping") from None
    return datetime.combine(day, clock)


def _offset(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in ("Z", "UTC", "GMT"):
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _month(name: str) -> int:
    for number, beginnings in enumerate(_MONTHS, 1):
        if any(name.lower().startswith(beginning) for beginning in beginnings.split()):
            return number
    raise DateFault(f"names no month that is known ({name}); write dates as 2026-03-31")


def unaccented(text: str) -> str:
    """Without accents, so that words are found however they are written."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
