"""Segments of a chart: points that are judged by one baseline. A relock begins a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.flow.statistics.columns import Point

BASELINE_POINTS = 20
BASELINE_LEAST = 12
# How many points a segment's baseline has, by the week from which the segment counts; None: the first segment.
Cuts = Mapping[int | None, int]


@dataclass(frozen=True)
class Segment:
    """Points in the order of weeks. `size`: how many of them, the first ones, are the baseline."""

    points: Sequence[Point]
    size: int = BASELINE_POINTS

    @property
    def is_locked(self) -> bool:
        """Whether the baseline is complete. Nothing is judged before."""
        return len(self.points) >= self.size

    @property
    def baseline(self) -> Sequence[Point]:
        """The points of the baseline, as many as there are."""
        return self.points[: self.size]

    @property
    def after(self) -> Sequence[Point]:
        """The points that are judged."""
        return self.points[self.size :]


def segments(points: Sequence[Point], cuts: Cuts, over: int) -> list[Segment]:
    """The segments of a chart, the newest last; only it may be empty.

    `over`: the first week that is not over. A relock counts once its first week is over.
    """
    first = cuts.get(None, BASELINE_POINTS)
    begun = sorted((week, size) for week, size in cuts.items() if week is not None and week < over)
    bounds: list[tuple[int, int]] = [(0, first), *begun, (over, 0)]
    found = [
        Segment([point for point in points if start <= point.week < end], size)
        for (start, size), (end, _) in pairwise(bounds)
    ]
    return [one for one in found[:-1] if one.points] + found[-1:]
