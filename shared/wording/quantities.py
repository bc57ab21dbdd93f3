"""Counts, lengths of time and dates in words."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

CALENDAR_DAY = 86_400
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_UNITS = r"working days?|calendar days?|(?:deal|day|hour|minute|second|week|month|quarter|time)s?|%"
_KEPT = re.compile(rf"(?<=\d) (?=(?:{_UNITS}|{_MONTHS})(?!\w))|(?<=usually) (?=\d)")
_NO_BREAK = "\u00a0"


# Pages have hundreds of sentences, most of which they had a few seconds before. Markup is not mistaken for text.
@lru_cache(8192, typed=True)
def keep_together(text: str) -> str:
    """The text with no-break spaces around numbers: no line ends with a bare `21` or `usually`."""
    return _KEPT.sub(_NO_BREAK, text)


def number(value: float) -> str:
    """`3`, `2.5`"""
    return f"{value:.1f}".removesuffix(".0")


def rounded(value: float) -> str:
    """`12`, `7.9`, `3`: below ten with one digit after the point, unless that is zero."""
    return f"{value:,.0f}" if round(value, 1) >= 10 else number(value)


def deals(count: int) -> str:
    """`1 deal`, `3 deals`"""
    return "1 deal" if count == 1 else f"{count} deals"


def at_least(count: int) -> str:
    """`any deal`, `6 deals or more`"""
    return "any deal" if count == 1 else f"{deals(count)} or more"


def date(moment: datetime, zone: str) -> str:
    """`3 November`"""
    return day(moment.astimezone(ZoneInfo(zone)))


def day(local: datetime) -> str:
    """`3 November`, as the wall clock has it."""
    return f"{local.day} {local:%B}"


def week(name: str) -> str:
    """`the week of 16 November`, by its ISO name 2026-W47: nobody has the numbers of weeks in mind."""
    return f"the week of {day(_monday(name))}"


# Most problems of a list are found at the ends of a few weeks.
@lru_cache(4096)
def week_until(end: datetime, zone: str) -> str:
    """`the week of 16 November`: the one in which the time before an instant lies; the next week may begin with it."""
    last = end.astimezone(ZoneInfo(zone)) - timedelta(microseconds=1)
    return week(f"{last:%G-W%V}")


def week_begin(name: str) -> str:
    """`16 November 2026`, where weeks of several years stand together."""
    monday = _monday(name)
    return f"{day(monday)} {monday.year}"


def weeks_between(first: str, last: str) -> str:
    """`6 Jan to\n19 May 2026`, below an axis: the first and the last week by when they begin."""
    since, until = _monday(first), _monday(last)
    year = "" if since.year == until.year else f" {since.year}"
    return f"{since.day} {since:%b}{year} to\n{until.day} {until:%b} {until.year}"


def _monday(name: str) -> datetime:
    year, number = name.split("-W")
    return datetime.fromisocalendar(int(year), int(number), 1)


def age(seconds: float, day_seconds: int = CALENDAR_DAY) -> str:
    """`47 days`, `3 working days`, `5 hours`: days of a clock whose day has `day_seconds`, hours below one."""
    count, name = int(seconds // day_seconds), "day" if day_seconds == CALENDAR_DAY else "working day"
    if not count:
        count, name = int(seconds // 3600), "hour"
    if not count:
        return "less than an hour"
    return f"{count} {name}{'' if count == 1 else 's'}"


def ages(oldest: float, median: float | None, stage: str, day_seconds: int) -> str:
    """The title of a chart of ages, from the oldest and the median age in seconds."""
    longest = f"The longest has been in {stage} for {age(oldest, day_seconds)}"
    if median is None:
        return longest
    unit = day_seconds if median >= day_seconds else 3600
    # Rounded up: half of the deals have been there for at least the median.
    about = max(1, math.ceil(median / unit)) * unit
    # One deal, or deals that came in together, have no half. The median may also be of the day before.
    if about > oldest or age(about, day_seconds) == age(oldest, day_seconds):
        return longest
    return f"{longest}; half of the deals for about {age(about, day_seconds)} or more"
