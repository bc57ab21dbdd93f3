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
from typing import NamedTuple

from shared.flow.statistics.columns import Point
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


def xmr(segment: Segment) -> XmrChart | None:
    """None before the baseline is complete, and where it has no moving range or more than half equal points."""
    values = [point.value for point in segment.baseline]
    if not segment.is_locked or 2 * max(Counter(values).values()) > len(values):
        return None
    centre = Fraction(sum(values)) / len(values)
    mean_range = Fraction(sum(max(pair) - min(pair) for pair in pairwise(values))) / (len(values) - 1)
    lower = centre - _LIMIT * mean_range
    limits = centre, centre + _LIMIT * mean_range, lower if lower >= 0 else None
    return XmrChart(*limits, mean_range, _RANGE_LIMIT * mean_range, list(_marks(segment, *limits)))


def _marks(segment: Segment, centre: Fraction, upper: Fraction, lower: Fraction | None) -> Iterator[Mark]:
    runs = {side: _Runs() for side in Side}
    for number, point in enumerate(segment.points):
        places = _places(point, centre, upper, lower)
        marked = [(rule, side) for side, place in places.items() for rule in runs[side].rules(place)]
        yield from (Mark(point.week, rule, side, number < segment.size) for rule, side in sorted(marked))


class _Runs:
    """The runs of one side, point by point."""

    def __init__(self) -> None:
        self._beyond_centre = 0
        self._near: deque[bool] = deque(maxlen=_NEAR_OF)

    def rules(self, place: _Place) -> list[int]:
        """The rules that mark the next point."""
        had_enough = sum(self._near) >= _NEAR
        self._near.append(place.near_limit)
        self._beyond_centre = self._beyond_centre + 1 if place.beyond_centre else 0
        has_enough = sum(self._near) >= _NEAR
        holds = (place.beyond_limit, self._beyond_centre == _RUN, has_enough and not had_enough)
        return [rule for rule, is_marked in enumerate(holds, 1) if is_marked]


class _Place(NamedTuple):
    """Where a point lies on one side of the centre."""

    beyond_centre: bool
    near_limit: bool = False
    beyond_limit: bool = False


def _places(point: Point, centre: Fraction, upper: Fraction, lower: Fraction | None) -> dict[Side, _Place]:
    value = point.value
    low = _Place(value < centre)
    return {
        Side.HIGH: _Place(value > centre, 2 * value > centre + upper, value > upper),
        Side.LOW: low if lower is None else _Place(value < centre, 2 * value < centre + lower, value < lower),
    }
