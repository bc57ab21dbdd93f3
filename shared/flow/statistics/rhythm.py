"""The rhythm of a source: how many events it lets expect at each hour of the week, and how long it may be quiet.

Learned from eight full weeks. Time measured in expected events makes gaps exponential (time rescaling: Papangelou 1972;
Daley & Vere-Jones). The needed number of them is widened by what it costs to know the rate from eight weeks only, by
bursts within the hour, and by how the rate swings from day to day and from week to week.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import expm1, inf, lcm, log
from operator import mul, sub
from typing import NamedTuple

from shared.flow.statistics.columns import Value
from shared.flow.statistics.wall_hours import CELLS, DAYS, HOUR, HOURS, WallHours

WEEKS = 8
# Rates are whole numbers in parts of an event an hour: a mean over one to eight days is exact.
_PARTS = lcm(*range(1, WEEKS + 1))
# Of expected events: rates times microseconds.
EVENT = _PARTS * HOUR
_LONGEST = (WEEKS * DAYS + 1) * HOURS * HOUR
# Windows of 13 weeks, in which the budget counts; beyond this exponent a double ends.
_QUARTER, _GREATEST_EXPONENT = 13, 700.0


class Gap(NamedTuple):
    """From one receipt to the next, across hours: the cells that it crosses and how long it is in each."""

    since: int
    until: int
    cells: Sequence[int]
    lengths: Sequence[int]


class HourGaps(NamedTuple):
    """The receipts `first` to `last` (indices) of a source lie within one piece; its widest gaps, at most two."""

    cell: int
    first: int
    last: int
    widest: Sequence[int]


@dataclass(frozen=True)
class WeekReceipts:
    """What a table learns from one week: counts by cell without days off, and the gaps that begin in it."""

    counts: Sequence[int]
    hours: Sequence[HourGaps]
    gaps: Sequence[Gap]

    def of_days(self) -> list[int]:
        """Receipts by weekday."""
        return [sum(self.counts[day * HOURS : (day + 1) * HOURS]) for day in range(DAYS)]


@dataclass(frozen=True)
class Rhythm:
    """A learned table. `rates` by cell, days off last, in parts; `need`: the expected events that silence takes."""

    rates: Sequence[int]
    need: float

    def expected(self, gap: Gap) -> int:
        """The expected events of a gap, in units of 1 / EVENT."""
        return sum(map(mul, map(self.rates.__getitem__, gap.cells), gap.lengths))


def week_receipts(receipts: Sequence[int], hours: WallHours, week: int) -> WeekReceipts:
    """What the receipts of one source, in order, tell of one week."""
    counts, within, gaps = [0] * CELLS + [0], [], []
    starts, cells, end = hours.of(week)
    at, stop = bisect_left(receipts, starts[0]), bisect_left(receipts, end)
    while at < stop:
        piece = bisect_right(starts, receipts[at]) - 1
        after = bisect_left(receipts, starts[piece + 1], at, stop) if piece + 1 < len(starts) else stop
        cell = cells[piece]
        counts[cell] += after - at
        if after - at > 1:
            widest = sorted(map(sub, receipts[at + 1 : after], receipts[at : after - 1]))[-2:]
            within.append(HourGaps(cell, at, after - 1, widest))
        if after < len(receipts):
            gaps.append(_gap(hours, receipts[after - 1], receipts[after]))
        at = after
    return WeekReceipts(counts[:CELLS], within, gaps)


def _gap(hours: WallHours, since: int, until: int) -> Gap:
    """No table spans a gap of more than eight weeks: its cells are left out."""
    pieces = list(hours.between(since, until)) if until - since <= _LONGEST else []
    return Gap(since, until, [cell for *_, cell in pieces], [end - start for start, end, _ in pieces])


def learn(weeks: Sequence[WeekReceipts], working: Sequence[Sequence[bool]], until: int, budget: Value) -> Rhythm | None:
    """The table of the eight weeks that end at `until`; None where they tell too little.

    `working`: which days of each week are no days off. `budget`: openings by chance in 91 days.
    """
    days = [sum(week[day] for week in working) for day in range(DAYS)]
    totals = [sum(column) for column in zip(*(week.counts for week in weeks), strict=True)]
    if sum(totals) == 0 or sum(max(count - 1, 0) for count in days) == 0:
        return None
    rates = [_PARTS // count * total if count else 0 for total, count in zip(totals, _by_cell(days), strict=True)] + [0]
    need = _Spread(weeks, working, days, rates).need(float(budget))
    rhythm = Rhythm(rates, need)
    return Rhythm(rates, max(need, 1.25 * _second_widest(rhythm, weeks, until) / EVENT))


def _by_cell(days: Sequence[int]) -> list[int]:
    return [count for count in days for _ in range(HOURS)]


def _second_widest(rhythm: Rhythm, weeks: Sequence[WeekReceipts], until: int) -> int:
    """The second largest expected number over the gaps of the eight weeks: one true silence deafens nothing."""
    rates = rhythm.rates
    within = (rates[hour.cell] * length for week in weeks for hour in week.hours for length in hour.widest)
    across = (rhythm.expected(gap) for week in weeks for gap in week.gaps if gap.until < until)
    largest = second = 0
    for expected in chain(within, across):
        if expected > second:
            largest, second = max(largest, expected), min(largest, expected)
    return second


class _Spread:
    """How far counts of hours, days and weeks lie from what the rates let expect."""

    def __init__(
        self,
        weeks: Sequence[WeekReceipts],
        working: Sequence[Sequence[bool]],
        days: Sequence[int],
        rates: Sequence[int],
    ) -> None:
        self._weeks, self._working, self._days, self._rates = weeks, working, days, rates[:CELLS]
        self._daily = [sum(rates[day * HOURS : (day + 1) * HOURS]) for day in range(DAYS)]
        self._count = sum(sum(week.counts) for week in weeks)
        self._free = sum(max(count - 1, 0) for count in days)

    def need(self, budget: float) -> float:
        """The expected events that chance exceeds in `budget` gaps of a quarter."""
        a_week = self._count / WEEKS
        bursts = max(1.0, self._of_hours())
        swing = max(0.0, (self._of_days() - bursts) / self._size(), (self._of_weeks() - bursts) / a_week)
        steady = log(_QUARTER * a_week / budget) / (WEEKS * log(9 / 8))
        if swing <= 1e-9:
            return bursts * steady
        exponent = swing * steady
        return bursts * expm1(exponent) / swing if exponent < _GREATEST_EXPONENT else inf

    def _mean(self) -> float:
        """Receipts an hour."""
        return self._count / (HOURS * sum(self._days))

    def _of_hours(self) -> float:
        columns = zip(*(week.counts for week in self._weeks), strict=True)
        squares = self._squares(
            [sum(map(mul, column, column)) for column in columns], self._rates, _by_cell(self._days)
        )
        return squares / (HOURS * self._free) / self._mean()

    def _of_days(self) -> float:
        columns = zip(*(week.of_days() for week in self._weeks), strict=True)
        squares = self._squares([sum(map(mul, column, column)) for column in columns], self._daily, self._days)
        return squares / self._free / (HOURS * self._mean())

    def _of_weeks(self) -> float:
        squares = 0
        for week, working in zip(self._weeks, self._working, strict=True):
            expected = sum(rate for rate, works in zip(self._daily, working, strict=True) if works)
            squares += (_PARTS * sum(week.counts) - expected) ** 2
        return squares / _PARTS**2 / (WEEKS - 1) / (self._count / WEEKS)

    def _size(self) -> float:
        """Receipts of a day, as a receipt sees it."""
        squares = sum(count * rate**2 for count, rate in zip(self._days, self._daily, strict=True))
        return squares / (_PARTS * _PARTS * self._count)

    def _squares(self, sums: Sequence[int], rates: Sequence[int], days: Sequence[int]) -> float:
        """Squared distances from the rates, from the sums of squared counts; exact up to the division."""
        exact = sum(_PARTS**2 * of - count * rate**2 for of, rate, count in zip(sums, rates, days, strict=True))
        return exact / _PARTS**2
