"""Windows: do the last 4 or 8 points of a chart rank worse than its locked baseline?

Exact for any shape of values; the distance that is needed is stretched for what the measure remembers. A problem opens
at the end of the first week at which a window fires, and clears at the end of the first later week at which none does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from shared.flow.statistics.columns import Point, Value
from shared.flow.statistics.ranks import TOLERANCE, critical, in_order, memory, stretch
from shared.flow.statistics.segments import Segment
from shared.policy.watchable import Side

SHORT, LONG = 4, 8
# A long memory must not ask for more than nearly complete separation: the window of 8 would never fire.
_CAP = 0.475


class Window(NamedTuple):
    """What one window needs to fire: `need` is the distance of U from its middle, None where no U is rare enough."""

    critical: int | None
    g: float
    need: float | None


class Look(NamedTuple):
    """Both windows at the end of one week. `twice_*`: twice U; None while too few points lie after the baseline."""

    week: int
    twice_4: int | None
    twice_8: int | None
    fires_4: bool
    fires_8: bool

    @property
    def fires(self) -> bool:
        """Whether either does."""
        return self.fires_4 or self.fires_8


@dataclass(frozen=True)
class WindowTest:
    """The test of one locked segment: a baseline against the last points, worse on one side."""

    # In order; as doubles too, which a search compares faster than fractions.
    baseline: Sequence[Value]
    doubles: Sequence[float]
    side: Side
    level: Fraction
    phi: float
    windows: Mapping[int, Window]

    @classmethod
    def of(cls, baseline: Sequence[Value], side: Side, level: Fraction) -> WindowTest:
        """`level`: how often chance may fire a window at one look."""
        phi = memory(baseline)
        windows = {n: _window(phi, len(baseline), n, level) for n in (SHORT, LONG)}
        ordered = in_order(baseline)
        return cls(ordered, [float(value) for value in ordered], side, level, phi, windows)

    def score(self, value: Value) -> int:
        """Twice the number of baseline points than which the value is worse; a tie counts one half."""
        double = float(value)
        start = bisect_left(self.doubles, double)
        end = bisect_right(self.doubles, double, start)
        # Values with different doubles are in the order of these; the others are compared exactly.
        below = 2 * start
        if start < end:
            below = bisect_left(self.baseline, value, start, end) + bisect_right(self.baseline, value, start, end)
        return below if self.side is Side.HIGH else 2 * len(self.baseline) - below

    def fires(self, n: int, twice: int | None) -> bool:
        """Whether the window of n points fires at this `twice` U."""
        need = self.windows[n].need
        if twice is None or need is None:
            return False
        return (twice - len(self.baseline) * n) / 2 >= need - TOLERANCE

    def looks(self, after: Iterable[Point]) -> Iterator[Look]:
        """A look at each point after the baseline. Each costs one search in the baseline."""
        scores: deque[int] = deque(maxlen=LONG)
        short = long = 0
        for week, value in after:
            short -= scores[-SHORT] if len(scores) >= SHORT else 0
            long -= scores[0] if len(scores) == LONG else 0
            scores.append(score := self.score(value))
            short, long = short + score, long + score
            two = short if len(scores) >= SHORT else None, long if len(scores) == LONG else None
            yield Look(week, *two, self.fires(SHORT, two[0]), self.fires(LONG, two[1]))


def _window(phi: float, m: int, n: int, level: Fraction) -> Window:
    found, g = critical(m, n, level), stretch(phi, m, n)
    if found is None:
        return Window(None, g, None)
    need = g * (found - m * n / 2)
    return Window(found, g, min(need, _CAP * m * n) if n == LONG else need)


def window_test(segment: Segment, side: Side, level: Fraction) -> WindowTest | None:
    """None before the baseline is complete."""
    if not segment.is_locked:
        return None
    return WindowTest.of([point.value for point in segment.baseline], side, level)


def pairs_needed(need: float, pairs: int) -> int:
    """Of 100 pairs, in how many the recent week must be worse for a window to fire.

    `need`: the distance of U from its middle; `pairs`: how many there are.
    """
    return -int(-(100 * (pairs / 2 + need) / pairs - TOLERANCE) // 1)


def window_looks(segment: Segment, side: Side, level: Fraction) -> list[Look]:
    """The looks of a segment, one for each point after its baseline."""
    test = window_test(segment, side, level)
    return list(test.looks(segment.after)) if test else []


class WindowInterval(NamedTuple):
    """From the end of week `opened` to the end of week `cleared`; None while a window fires.

    `peak`: the greatest share of pairs, in whole percent, in which the recent point was worse.
    `trigger`: the weeks of the window that fired first.
    """

    opened: int
    cleared: int | None
    peak: int
    trigger: Sequence[int]


def window_intervals(segments: Iterable[Segment], side: Side, level: Fraction) -> list[WindowInterval]:
    """The problem's intervals over all segments of a chart. A week without a point changes nothing."""
    found: list[WindowInterval] = []
    for segment in segments:
        looks = window_looks(segment, side, level)
        if segment.points:
            # Points of a baseline are looks that do not fire.
            _clear(found, segment.points[0].week)
        for number, look in enumerate(looks):
            if not look.fires:
                _clear(found, look.week)
            elif found and found[-1].cleared is None:
                found[-1] = found[-1]._replace(peak=max(found[-1].peak, _peak(look, segment.size)))
            else:
                n = LONG if look.fires_8 else SHORT
                weeks = [point.week for point in segment.after[number + 1 - n : number + 1]]
                found.append(WindowInterval(look.week, None, _peak(look, segment.size), weeks))
    return found


def _clear(found: list[WindowInterval], week: int) -> None:
    if found and found[-1].cleared is None:
        found[-1] = found[-1]._replace(cleared=week)


def _peak(look: Look, m: int) -> int:
    """The greatest share of the windows that fire, in whole percent, rounded down."""
    shares = [
        100 * twice // (2 * m * n)
        for n, twice, fires in ((SHORT, look.twice_4, look.fires_4), (LONG, look.twice_8, look.fires_8))
        if fires and twice is not None
    ]
    return max(shares)
