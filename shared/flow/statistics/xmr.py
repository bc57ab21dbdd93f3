"""XmR charts with the marks of Wheeler's short form (Wheeler, Understanding Variation). They open no problem.

1: a point outside the limits; 2: the eighth point in a row on one side of the centre; 3: three of four points in a row
nearer to a limit than to the centre. A run is marked once. A lower limit below zero is no limit.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import NamedTuple

from shared.flow.statistics.columns import Point, Value, WeekValues
from shared.flow.statistics.segments import Segment
from shared.policy.watchable import Side

_LIMIT, _RANGE_LIMIT = Fraction(133, 50), Fraction(817, 250)
_RUN, _NEAR, _NEAR_OF = 8, 3, 4


class Mark(NamedTuple):
    """A point that stands out by a rule, on one side; `in_baseline`: one of the points that made the limits."""

    week: int
    rule: int
    side: Side
    in_baseline: bool


@dataclass(frozen=True)
class XmrChart:
    """Limits from the baseline, and the marks of all points. Values are in the scale of the chart's column."""

    centre: Fraction
    upper: Fraction
    # None: it would lie below zero.
    lower: Fraction | None
    mean_moving_range: Fraction
    range_limit: Fraction
    marks: Sequence[Mark]


def drawn_points(values: WeekValues) -> list[Point]:
    """The points of an XmR chart; `values` holds the weeks that are over. Lead times count from week 1 on, too."""
    return [Point(week, value) for week, value in enumerate(values) if week >= 1 and value is not None]


def xmr(segment: Segment) -> XmrChart | None:
    """None before the baseline is complete, and where it has no moving range or more than half equal points."""
    values = [point.value for point in segment.baseline]
    if not segment.is_locked or 2 * max(Counter(values).values()) > len(values):
        return None
    # Over one denominator, so that sums are of integers.
    whole = lcm(*(value.denominator for value in values))
    parts = [value.numerator * (whole // value.denominator) for value in values]
    centre = Fraction(sum(parts), whole * len(parts))
    moves = sum(abs(b - a) for a, b in pairwise(parts))
    mean_range = Fraction(moves, whole * (len(parts) - 1))
    lower = centre - _LIMIT * mean_range
    limits = centre, centre + _LIMIT * mean_range, lower if lower >= 0 else None
    return XmrChart(*limits, mean_range, _RANGE_LIMIT * mean_range, list(_marks(segment, *limits)))


def _marks(segment: Segment, centre: Fraction, upper: Fraction, lower: Fraction | None) -> Iterator[Mark]:
    high, low = _SideRuns(centre, upper, 1), _SideRuns(centre, lower, -1)
    for number, point in enumerate(segment.points):
        marked = [(rule, Side.HIGH) for rule in high.rules(point.value)]
        marked += [(rule, Side.LOW) for rule in low.rules(point.value)]
        yield from (Mark(point.week, rule, side, number < segment.size) for rule, side in sorted(marked))


class _SideRuns:
    """The runs of one side, point by point. `sign`: 1 above the centre, -1 below it; `limit`: None without one."""

    def __init__(self, centre: Fraction, limit: Fraction | None, sign: int) -> None:
        halfway = None if limit is None else (centre + limit) / 2
        lines = [line for line in (centre, halfway, limit) if line is not None]
        self._lines = [(sign * line.numerator, line.denominator) for line in lines]
        self._sign, self._beyond_centre = sign, 0
        self._near: deque[bool] = deque(maxlen=_NEAR_OF)

    def rules(self, value: Value) -> list[int]:
        """The rules that mark the next point."""
        had_enough = sum(self._near) >= _NEAR
        beyond = self._lines_before(value)
        self._beyond_centre = self._beyond_centre + 1 if beyond else 0
        self._near.append(beyond > 1)
        has_enough = sum(self._near) >= _NEAR
        holds = (beyond > 2, self._beyond_centre == _RUN, has_enough and not had_enough)
        return [rule for rule, is_marked in enumerate(holds, 1) if is_marked]

    def _lines_before(self, value: Value) -> int:
        """How many of the centre, the line halfway to the limit and the limit the value lies beyond."""
        numerator, denominator = self._sign * value.numerator, value.denominator
        for number, (line, whole) in enumerate(self._lines):
            # Cross products of integers: much faster than to compare fractions.
            if numerator * whole <= line * denominator:
                return number
        return len(self._lines)
