"""Hours as the wall clock of a zone shows them: 168 cells of a week, and one for all days off.

A piece is a span of real time within one hour of one date. Where the clock goes forward a cell has no piece that day,
where it goes back one has two. Pieces may be shorter than an hour in zones that shift by less.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from shared.flow.calendars import offsets
from shared.flow.statistics.weeks import Weeks

DAYS, HOURS = 7, 24
CELLS = DAYS * HOURS
# The cell of all days off: as an index, the last of a list of CELLS + 1.
OFF = -1
HOUR = 3600 * 1_000_000
_EPOCH = date(1970, 1, 1)
# Enough for the eight weeks of a table, a gap across them, and some sources in turn.
_KEPT = 1000


class WeekHours(NamedTuple):
    """The pieces of a week in order: where each starts, and its cell, weekday * 24 + hour."""

    starts: list[int]
    cells: list[int]
    end: int


class WallHours:
    """The pieces of every week, worked out when it is first asked for. `holidays`: the days off."""

    def __init__(self, weeks: Weeks, holidays: Iterable[date]) -> None:
        self.weeks = weeks
        self._holidays = frozenset((day - _EPOCH).days for day in holidays)
        self.of = lru_cache(_KEPT)(self._of)

    def between(self, since: int, until: int) -> Iterator[tuple[int, int, int]]:
        """The pieces from one instant to another, cut at both: start, end, cell."""
        week = self.weeks.of(since)
        while since < until:
            starts, cells, end = self.of(week)
            at = bisect_right(starts, since) - 1
            while since < min(until, end):
                stop = min(starts[at + 1] if at + 1 < len(starts) else end, until)
                yield since, stop, cells[at]
                since, at = stop, at + 1
            week += 1

    def working(self, week: int) -> list[bool]:
        """Which of the week's seven days are no days off."""
        monday = (self.weeks.first_day(week) - _EPOCH).days
        return [monday + day not in self._holidays for day in range(DAYS)]

    def _of(self, week: int) -> WeekHours:
        starts, cells = [], []
        end = self.weeks.end(week)
        for start, stop, offset in offsets(self.weeks.zone, self.weeks.start(week), end):
            first, last = (start + offset) // HOUR, (stop + offset - 1) // HOUR
            for hour in range(first, last + 1):
                starts.append(max(hour * HOUR - offset, start))
                cells.append(self._cell(hour))
        return WeekHours(starts, cells, end)

    def _cell(self, hour: int) -> int:
        """The cell of an hour that is counted since 1970."""
        day = hour // HOURS
        return OFF if day in self._holidays else (_EPOCH + timedelta(days=day)).weekday() * HOURS + hour % HOURS
