"""Clocks that measure ages: calendar time, or business hours only.

A business clock is a sequence of spans of real time: every instant at which the wall clock of its zone shows a working
date and a time in the working hours. An hour that daylight saving skips does not count; one that comes twice counts
twice. An age reached exactly at the end of a span is reached then, not at the start of the next span.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol
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

    def age(self, since: int, until: int) -> int:
        """The time of this clock between two instants."""

    def reading(self, origin: int) -> Callable[[int], int]:
        """What the clock shows at an instant, counted from an origin: the difference of two readings is an age."""


class CalendarClock:
    """Runs 24 x 7."""

    name = CALENDAR
    day_seconds = 86_400

    def due(self, since: int, length: int) -> int:
        return since + length

    def age(self, since: int, until: int) -> int:
        return until - since

    def reading(self, origin: int) -> Callable[[int], int]:
        return (-origin).__add__


class BusinessClock:
    """Runs in business hours only. Computes the spans of a year on first use."""

    def __init__(self, policy: ClockPolicy) -> None:
        self._policy = policy
        self.name = _digest(policy)
        self._zone = ZoneInfo(policy.timezone)
        self.day_seconds = policy.day_seconds
        self._weekdays = {DAYS.index(day) for day in policy.days}
        self._begins: list[int] = []
        self._ends: list[int] = []
        # Working time before each span.
        self._sums: list[int] = [0]
        self._years: tuple[int, int] | None = None
        # Of the instants in `[first, second)` the spans are computed, a year before and after too.
        self._covered = (0, 0)

    def due(self, since: int, length: int) -> int:
        """As `AgeClock.due`; the greatest instant where the age is not reached before the year 9999."""
        self._cover(since)
        target = self._worked(since) + length
        while target > self._sums[-1]:
            if not self._extend_after():
                return micros(datetime.max.replace(tzinfo=UTC))
        if length == 0:
            return since
        at = bisect_left(self._sums, target) - 1
        return self._begins[at] + target - self._sums[at]

    def age(self, since: int, until: int) -> int:
        # Both years first: adding an earlier one changes all sums.
        self._cover(until)
        self._cover(since)
        return self._worked(until) - self._worked(since)

    def reading(self, origin: int) -> Callable[[int], int]:
        return partial(self.age, origin)

    def _worked(self, instant: int) -> int:
        """Working time from the first computed span to the instant, whose year is covered."""
        at = bisect_right(self._begins, instant) - 1
        if at < 0:
            return 0
        return self._sums[at] + min(instant, self._ends[at]) - self._begins[at]

    def _cover(self, instant: int) -> None:
        """Compute the spans of the instant's year, and of those before and after it."""
        if not self._covered[0] <= instant < self._covered[1]:
            self._cover_year(moment(instant).year)

    def _cover_year(self, year: int) -> None:
        if self._years is None:
            self._years = (year, year - 1)
        if year - 1 < self._years[0]:
            self._recompute(year - 1, max(self._years[1], year + 1))
        while year + 1 > self._years[1] and self._extend_after():
            pass
        first, last = self._years
        self._covered = _new_year(first + 1), _new_year(last)

    def _extend_after(self) -> bool:
        first, last = self._years or (0, 0)
        if last >= _LAST_YEAR:
            return False
        self._append(last + 1)
        self._years = (first, last + 1)
        return True

    def _recompute(self, first: int, last: int) -> None:
        self._begins, self._ends, self._sums = [], [], [0]
        first, last = max(_FIRST_YEAR, first), min(_LAST_YEAR, last)
        for year in range(first, last + 1):
            self._append(year)
        self._years = (first, last)

    def _append(self, year: int) -> None:
        first, last = _new_year(year), _new_year(year + 1)
        for start, stop, offset in offsets(self._zone, first, last):
            for begin, finish in self._local_spans(start + offset, stop + offset):
                self._append_span(max(begin - offset, start), min(finish - offset, stop))

    def _local_spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Working hours of the dates from `first` to `last`, both as the wall clock shows them."""
        for number in range(first // _DAY, last // _DAY + 1):
            day = (EPOCH + timedelta(days=number)).date()
            if day.weekday() in self._weekdays and day not in self._policy.holidays:
                for begin, finish in self._policy.hours:
                    yield number * _DAY + begin * _SECOND, number * _DAY + finish * _SECOND

    def _append_span(self, begin: int, end: int) -> None:
        if end > begin:
            self._begins.append(begin)
            self._ends.append(end)
            self._sums.append(self._sums[-1] + end - begin)


def _new_year(year: int) -> int:
    return micros(datetime(year, 1, 1, tzinfo=UTC))


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
    """The second between two instants at which the offset of `before` ends."""
    offset = _offset(zone, before)
    while after - before > _SECOND:
        middle = (before + after) // 2 // _SECOND * _SECOND
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


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
