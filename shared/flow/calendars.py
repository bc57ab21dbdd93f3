"""Clocks that measure ages: calendar time, or business hours only.

A business clock is a sequence of spans of real time: every instant at which the wall clock of its zone shows a working
date and a time in the working hours. An hour that daylight saving skips does not count; one that comes twice counts
twice. An age reached exactly at the end of a span is reached then, not at the start of the next span.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from shared.policy import Policy
from shared.policy.durations import Duration
from shared.policy.model import CALENDAR, DAYS, ClockPolicy
from shared.runtime.instants import EPOCH, micros, moment

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
# How far apart to look for changes of a zone's offset. No zone has had two within this time.
_STEP = 12 * 3600 * _SECOND
# No wall clock of these years leaves the calendar.
_FIRST_YEAR, _LAST_YEAR = 2, 9998


class AgeClock(Protocol):
    """Measures ages in microseconds. `name` identifies the whole definition; `day_seconds` is the length of its day."""

    name: str
    day_seconds: int

    def due(self, since: int, length: int) -> int:
        """The instant at which an age of `length`, counted from `since`, is reached."""

    def dues(self, since: Sequence[int], length: int) -> list[int]:
        """As `due`, of many."""

    def age(self, since: int, until: int) -> int:
        """The time of this clock between two instants."""

    def reading(self, origin: int) -> Callable[[int], int]:
        """What the clock shows at an instant, counted from an origin: the difference of two readings is an age."""


class CalendarClock:
    """Runs 24 x 7."""

    day_seconds = 86_400

    def __init__(self) -> None:
        self.name = CALENDAR

    def due(self, since: int, length: int) -> int:
        return since + length

    def dues(self, since: Sequence[int], length: int) -> list[int]:
        return [one + length for one in since]

    def age(self, since: int, until: int) -> int:
        return until - since

    def reading(self, origin: int) -> Callable[[int], int]:
        return (-origin).__add__


class _Spans(NamedTuple):
    """The working spans of one year in UTC, in order. `sums`: the working time before each, and in the whole year."""

    begins: Sequence[int]
    ends: Sequence[int]
    sums: Sequence[int]

    @property
    def total(self) -> int:
        return self.sums[-1]

    def worked(self, instant: int) -> int:
        """Working time from the beginning of the year to an instant in it."""
        at = bisect_right(self.begins, instant) - 1
        return 0 if at < 0 else self.sums[at] + min(instant, self.ends[at]) - self.begins[at]


class BusinessClock:
    """Runs in business hours only. Computes the spans of a year on first use.

    Threads share a clock: what is learned is computed in one while another counts visits. So the spans of a year never
    change, and two threads that compute them at once get the same.
    """

    def __init__(self, policy: ClockPolicy) -> None:
        self._policy = policy
        self.name = _digest(policy)
        self._zone = ZoneInfo(policy.timezone)
        self.day_seconds = policy.day_seconds
        self._weekdays = {DAYS.index(day) for day in policy.days}
        self._years: dict[int, _Spans] = {}

    def due(self, since: int, length: int) -> int:
        """As `AgeClock.due`; the greatest instant where the age is not reached before the year 9999."""
        if length == 0:
            return since
        year = _year(since)
        spans = self._spans(year)
        target = spans.worked(since) + length
        while target > spans.total:
            if year >= _LAST_YEAR:
                return micros(datetime.max.replace(tzinfo=UTC))
            target -= spans.total
            year += 1
            spans = self._spans(year)
        at = bisect_left(spans.sums, target) - 1
        return spans.begins[at] + target - spans.sums[at]

    def dues(self, since: Sequence[int], length: int) -> list[int]:
        return [self.due(one, length) for one in since]

    def age(self, since: int, until: int) -> int:
        if until < since:
            return -self.age(until, since)
        first, last = _year(since), _year(until)
        before = sum(self._spans(year).total for year in range(first, last))
        return before + self._spans(last).worked(until) - self._spans(first).worked(since)

    def reading(self, origin: int) -> Callable[[int], int]:
        beginnings: dict[int, int] = {}

        def shown(instant: int) -> int:
            year = _year(instant)
            if year not in beginnings:
                beginnings[year] = self.age(origin, _year_starts()[year])
            return beginnings[year] + self._spans(year).worked(instant)

        return shown

    def _spans(self, year: int) -> _Spans:
        found = self._years.get(year)
        if found is None:
            found = self._years[year] = self._compute(year)
        return found

    def _compute(self, year: int) -> _Spans:
        spans = list(self._spans_of(year)) if _FIRST_YEAR <= year <= _LAST_YEAR else []
        sums = accumulate((end - begin for begin, end in spans), initial=0)
        return _Spans([begin for begin, _ in spans], [end for _, end in spans], list(sums))

    def _spans_of(self, year: int) -> Iterator[tuple[int, int]]:
        first, last = (micros(datetime(number, 1, 1, tzinfo=UTC)) for number in (year, year + 1))
        for start, stop, offset in offsets(self._zone, first, last):
            for begin, finish in self._local_spans(start + offset, stop + offset):
                span = max(begin - offset, start), min(finish - offset, stop)
                if span[0] < span[1]:
                    yield span

    def _local_spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Working hours of the dates from `first` to `last`, both as the wall clock shows them."""
        for number in range(first // _DAY, last // _DAY + 1):
            day = (EPOCH + timedelta(days=number)).date()
            if day.weekday() in self._weekdays and day not in self._policy.holidays:
                for begin, finish in self._policy.hours:
                    yield number * _DAY + begin * _SECOND, number * _DAY + finish * _SECOND


@cache
def _year_starts() -> list[int]:
    """The first instant of each year in UTC, by year. There is no year 0; it has the place of year 1."""
    return [micros(datetime(max(year, 1), 1, 1, tzinfo=UTC)) for year in range(10_000)]


def _year(instant: int) -> int:
    """The year in UTC that holds an instant: faster than by way of a datetime."""
    return bisect_right(_year_starts(), instant) - 1


def offsets(zone: ZoneInfo, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """The spans [start, end) between two instants in which the zone keeps one offset from UTC, with that offset."""
    start, offset = first, _offset(zone, first)
    for before in range(first, last, _STEP):
        after = min(before + _STEP, last)
        if _offset(zone, after) != offset and (change := _change(zone, before, after)) < last:
            yield start, change, offset
            start, offset = change, _offset(zone, after)
    yield start, last, offset


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The second between two instants at which the offset of `before` ends; both may lie between seconds."""
    offset = _offset(zone, before)
    low, high = before // _SECOND, -(-after // _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle * _SECOND) == offset else (low, middle)
    return high * _SECOND


def _offset(zone: ZoneInfo, instant: int) -> int:
    """What the wall clock of the zone is ahead of UTC, in microseconds."""
    return (moment(instant).astimezone(zone).utcoffset() or timedelta()) // timedelta(microseconds=1)


def _digest(policy: ClockPolicy) -> str:
    """The same in every process: sorts the sets, whose order differs from process to process."""
    parts = (policy.timezone, sorted(policy.days), sorted(policy.hours), sorted(map(str, policy.holidays)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


class AgeClocks:
    """The clocks of a policy, by stage."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._clocks: dict[str, AgeClock] = {CALENDAR: CalendarClock()}
        self._clocks |= {name: BusinessClock(clock) for name, clock in policy.clocks.items()}

    def of(self, pipeline: str, stage: str) -> AgeClock:
        """The clock that measures ages in this stage."""
        return self._clocks[self._policy.pipelines[pipeline].clock_of(stage)]

    def length(self, pipeline: str, stage: str, duration: Duration) -> int:
        """A duration on the stage's clock, in microseconds of that clock."""
        return duration.micros(self.of(pipeline, stage).day_seconds)
