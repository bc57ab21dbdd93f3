"""Reads dates and times as people and CRMs write them. Never guesses an ambiguous one."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.importer.mapping import DateOrder
from services.importer.months import MonthFault, MonthNames, month_of, names_fitting
from services.importer.tables.base import Cell
from shared.runtime.instants import micros

_ZONE = r"(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|UTC|GMT)"
# Between a day and its time: "at" in several languages, or a sign.
_BEFORE_TIME = r"(?:T|[ ,]+(?:(?:at|um|om|a|as|a las|alle|kl\.?) +)?)"
_HALF = r"[AaPp]\.?\s?[Mm]\.?"
_TIME = (
    rf"(?:{_BEFORE_TIME}(?P<hour>\d{{1,2}})"
    rf"(?:[:.h](?P<minute>\d{{2}})(?:[:.](?P<second>\d{{2}})(?:[.,](?P<fraction>\d{{1,9}}))?)?|(?=\s*{_HALF}))"
    rf"\s*(?P<half>{_HALF})?(?:\s*Uhr)?)?\s*{_ZONE}?"
)
_NUMERIC = re.compile(r"(?P<a>\d{1,4})(?P<sep>[-./]) ?(?P<b>\d{1,2})(?P=sep) ?(?P<c>\d{1,4})\.?" + _TIME, re.IGNORECASE)
_NUMERIC_START = re.compile(r"(?<![\d])\d{1,2}(?P<sep>[-./]) ?\d{1,2}(?P=sep) ?\d{1,4}")
# As Chinese and Japanese write it.
_CJK_DATE = re.compile(r"(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?日")
# ISO 8601, or a day in XML with its offset: the offset is no time of day.
_ISO = re.compile(r"\d{4}-.{5}(?:[Tt ]\d{2}.*)?")
_GAP = r"(?:[ ./-]+(?:del? )?)"
_DAY_MONTH_NAME = re.compile(
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|o)?{_GAP}(?P<month>[a-z]{{3,}})\.?,?{_GAP}'?(?P<year>\d{{4}}|\d{{2}})"
    # A full stop, in Croatian and Serbian, or "of the year" in Polish.
    r"(?:\.| ?r\.)?" + _TIME,
    re.IGNORECASE,
)
_MONTH_NAME_DAY = re.compile(
    r"(?P<month>[a-z]{3,})\.?(?: +|[-/])(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,? +|[-/])(?P<year>'\d{2}|\d{4})" + _TIME,
    re.IGNORECASE,
)
_YEAR_MONTH_NAME = re.compile(r"(?P<year>\d{4})[ /-](?P<month>[a-z]{3,})[ /-](?P<day>\d{1,2})" + _TIME, re.IGNORECASE)
# As C and the command `date` write it.
_C_TIME = re.compile(
    r"(?P<month>[a-z]{3,}) +(?P<day>\d{1,2}) +(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})"
    r"(?P<fraction>)(?P<half>)(?: (?P<zone>UTC|GMT))? (?P<year>\d{4})",
    re.IGNORECASE,
)
_NAMED = (_DAY_MONTH_NAME, _MONTH_NAME_DAY, _YEAR_MONTH_NAME, _C_TIME)
_WEEKDAY = re.compile(
    r"(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so|lun|mar|mer|jeu|ven|sam|dim|mie|jue|vie|sab|dom|maa|din|"
    r"woe|don|vri|zat|zon|seg|ter|qua|qui|sex|man|tir|ons|tor|fre|lor|tis|pon|wto|sro|czw|pia|sob|nie)[a-z-]*\.?,? +",
    re.IGNORECASE,
)
# A name beside an offset, as JavaScript writes it, or beside a day. Beside a bare time it would be the zone.
_ZONE_NAME = re.compile(r"(?:(?<=[+-]\d{4})|(?<=[+-]\d{2}:\d{2})|(?<=UTC)|(?<=GMT)|(?<=^[^:]{10}))\s*\([^()]*\)$")
# Letters that Unicode does not decompose.
_STROKES = str.maketrans("łŁøØđĐıİ", "lLoOdDii")
_EPOCH_MS = re.compile(r"\d{13}")
# The groups of _NUMERIC that are year, month and day.
_GROUPS = {DateOrder.YMD: "abc", DateOrder.DMY: "cba", DateOrder.MDY: "cab"}
_DAY = timedelta(days=1)
FIRST_YEAR, LAST_YEAR = 1970, 9998
CACHED_TEXTS = 100_000


class DateFault(Exception):
    """A value is not a date; the message says what is expected."""


class DateSpan(NamedTuple):
    """An instant in microseconds, or a whole day: then `end` is the instant after it. For an instant both are equal."""

    first: int
    end: int

    @property
    def is_whole_day(self) -> bool:
        return self.end > self.first


class DateOrders(NamedTuple):
    """The order of numeric dates: by column and separator, else the table's; and whose names months have."""

    by_column: dict[str, dict[str, DateOrder]]
    default: DateOrder | None
    months: MonthNames | None = None

    def of(self, column: str, text: str) -> DateOrder | None:
        """The order in which to read a text of a column; None if it is unknown."""
        if column not in self.by_column:
            return self.default
        return self.by_column[column].get(separator_of(text) or "", self.default)


class DateReader:
    """Reads the dates of one table. An hour that a clock change repeats means the first of the two."""

    def __init__(self, orders: DateOrders, zone: str) -> None:
        self._orders, self._zone = orders, ZoneInfo(zone)
        # A table has few different days.
        self._cached = lru_cache(CACHED_TEXTS)(self._read_text)

    def read(self, cell: Cell, column: str = "") -> DateSpan | None:
        """None for an empty cell; raises DateFault."""
        if cell is None:
            return None
        if isinstance(cell, str):
            return self._cached(cell, column if self._orders.by_column else "")
        if isinstance(cell, datetime):
            # Workbooks and some exports have no days, only midnights.
            is_day = cell.tzinfo is None and cell.time() == time()
            return self._day(cell.date()) if is_day else self._instant(cell)
        if isinstance(cell, date):
            return self._day(cell)
        raise DateFault("is a number; write dates as dates, such as 2026-03-31")

    def _read_text(self, text: str, column: str) -> DateSpan | None:
        stripped = text.strip()
        if not stripped:
            return None
        if _EPOCH_MS.fullmatch(stripped):
            return DateSpan(int(stripped) * 1000, int(stripped) * 1000)
        found = read_date(stripped, self._orders.of(column, stripped), self._orders.months)
        return self._instant(found) if isinstance(found, datetime) else self._day(found)

    def _instant(self, moment: datetime) -> DateSpan:
        _check_year(moment.year)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        instant = micros(aware)
        return _after_epoch(DateSpan(instant, instant))

    def _day(self, day: date) -> DateSpan:
        _check_year(day.year)
        first, end = (datetime.combine(d, time(), self._zone).astimezone(UTC) for d in (day, day + _DAY))
        return _after_epoch(DateSpan(micros(first), micros(end)))


def _check_year(year: int) -> None:
    """Some programs write the first or last day of the calendar for "never"; neither can be converted between zones."""
    if year < FIRST_YEAR:
        raise DateFault(f"is before {FIRST_YEAR}; correct it, or empty the cell")
    if year > LAST_YEAR:
        raise DateFault(f"is after {LAST_YEAR}; correct it, or empty the cell")


def _after_epoch(span: DateSpan) -> DateSpan:
    if span.end <= 0:
        raise DateFault(f"is before {FIRST_YEAR}; correct it, or empty the cell")
    return span


def read_date(text: str, order: DateOrder | None, months: MonthNames | None = None) -> date | datetime:
    """A day, or a time with or without an offset; raises DateFault. `months`: whose names months have."""
    try:
        if _ISO.fullmatch(text):
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        # Not quite ISO 8601: the patterns below are more lenient.
        pass
    for bare in _readings(text):
        if match := _NUMERIC.fullmatch(bare):
            return _to_date(match, _year_month_day(match, order))
        if match := _named(bare):
            return _to_date(match, (_full_year(match["year"].strip("'")), _month(match["month"], months), match["day"]))
    raise DateFault("is not a date; write for example 2026-03-31 or 2026-03-31 14:05")


def _readings(text: str) -> dict[str, None]:
    """The text without accents and zone names, also without a weekday: "Mar" is a month, and a day in French."""
    plain = _CJK_DATE.sub(r"\1-\2-\3", _ZONE_NAME.sub("", without_accents(text))).strip()
    return dict.fromkeys((plain, _WEEKDAY.sub("", plain, count=1) if _WEEKDAY.match(plain) else plain))


def _named(bare: str) -> re.Match[str] | None:
    return next(filter(None, (form.fullmatch(bare) for form in _NAMED)), None)


def month_word(text: str) -> str | None:
    """The name of the month in a date that has one."""
    match = next(filter(None, map(_named, _readings(text.strip()))), None)
    return match["month"] if match else None


def separator_of(text: str) -> str | None:
    """The separator of a numeric date whose order matters; None for other dates."""
    match = _NUMERIC_START.search(without_accents(text))
    return match["sep"] if match else None


def orders_of(text: str) -> frozenset[DateOrder]:
    """The orders in which a text can be read, whosever names its month has; all if the order does not matter.

    Raises DateFault if there is none.
    """
    word = month_word(text)
    names = next(iter(sorted(names_fitting(word))), None) if word else None
    found, fault = set(), DateFault("")
    for order in DateOrder:
        try:
            read_date(text, order, names)
            found.add(order)
        except DateFault as error:
            fault = error
    if not found:
        raise fault
    return frozenset(found)


def _year_month_day(match: re.Match[str], order: DateOrder | None) -> tuple[str, str, str]:
    if len(match["a"]) == 4:
        return match["a"], match["b"], match["c"]
    if order is None:
        raise DateFault("can be read in more than one way; set the order in the mapping: dates: dmy or mdy")
    year, month, day = (match[group] for group in _GROUPS[order])
    if len(year) not in (2, 4) or len(day) > 2:
        raise DateFault(f"is not a date in the order {order.value}; correct it, or dates in the mapping")
    return _full_year(year), month, day


def _full_year(year: str) -> str:
    """A two-digit year is in this century: no CRM is older."""
    return year if len(year) == 4 else f"20{year}"


def _to_date(match: re.Match[str], parts: tuple[str, str, str]) -> date | datetime:
    try:
        day = date(*map(int, parts))
        if match["hour"] is None:
            return day
        hour = int(match["hour"])
        if match["half"] and hour > 12 and match["half"][0] in "Aa":
            raise DateFault("says a.m. of an hour after noon; correct it")
        if match["half"]:
            hour = hour % 12 + (12 if match["half"][0] in "Pp" else 0)
        fraction = int((match["fraction"] or "0").ljust(6, "0")[:6])
        second = int(match["second"] or 0)
        if second == 60 and match["minute"] == "59":
            # A leap second is the last instant of its minute.
            second, fraction = 59, 999_999
        clock = time(hour, int(match["minute"] or 0), second, fraction, _offset(match["zone"]))
    except ValueError as error:
        raise DateFault(f"is not a date: {error}; correct it, or dates in the mapping") from None
    return datetime.combine(day, clock)


def _offset(text: str | None) -> timezone | None:
    if text is None:
        return None
    text = text.upper().removeprefix("UTC").removeprefix("GMT")
    if text in ("", "Z"):
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _month(word: str, names: MonthNames | None) -> str:
    try:
        return str(month_of(word, names))
    except MonthFault as fault:
        raise DateFault(str(fault)) from None


def without_accents(text: str) -> str:
    """The text without accents, for comparing words."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.translate(_STROKES)) if not unicodedata.combining(c))
