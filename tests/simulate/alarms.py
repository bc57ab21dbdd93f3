"""Ways to call a week bad, each from the same baseline: windows, and what people use instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import fmean, stdev

from shared.flow.statistics.columns import Point
from shared.flow.statistics.segments import BASELINE_POINTS, Segment
from shared.flow.statistics.watched import LOOKS_A_QUARTER
from shared.flow.statistics.windows import window_looks
from shared.flow.statistics.xmr import xmr
from shared.policy.watchable import Side

# Whether each week after the baseline is called bad.
Alarm = Callable[[Sequence[int], Side], list[bool]]


def windows(charts: int, budget: int = 1) -> Alarm:
    """The product's windows, where a pipeline watches so many charts at this budget."""
    level = Fraction(budget, LOOKS_A_QUARTER * charts)

    def alarm(values: Sequence[int], side: Side) -> list[bool]:
        return [look.fires for look in window_looks(_segment(values), side, level)]

    return alarm


def marks(values: Sequence[int], side: Side) -> list[bool]:
    """A ticket for each mark of an XmR chart on the bad side."""
    chart = xmr(_segment(values))
    marked = {mark.week for mark in chart.marks if mark.side is side} if chart else set()
    return [week in marked for week in range(BASELINE_POINTS, len(values))]


def two_sigma(values: Sequence[int], side: Side) -> list[bool]:
    """Beyond the baseline's mean by two of its standard deviations."""
    return [z > 2 for z in _standardised(values, side)]


def western_electric(values: Sequence[int], side: Side) -> list[bool]:
    """One of the last 1, 3, 5, 8 weeks' rules: 1 beyond 3, 2 of 3 beyond 2, 4 of 5 beyond 1, 8 of 8 beyond 0 sigma."""
    scores = _standardised(values, side)
    rules = ((1, 1, 3), (2, 3, 2), (4, 5, 1), (8, 8, 0))
    return [
        any(sum(z > beyond for z in scores[max(0, week + 1 - of) : week + 1]) >= least for least, of, beyond in rules)
        for week in range(len(scores))
    ]


def _segment(values: Sequence[int]) -> Segment:
    return Segment([Point(week, value) for week, value in enumerate(values)], BASELINE_POINTS)


def _standardised(values: Sequence[int], side: Side) -> list[float]:
    """The weeks after the baseline in its standard deviations, positive where worse."""
    baseline, sign = values[:BASELINE_POINTS], 1 if side is Side.HIGH else -1
    centre, spread = fmean(baseline), stdev(baseline) or 1.0
    return [sign * (value - centre) / spread for value in values[BASELINE_POINTS:]]


RIVALS: dict[str, Alarm] = {
    "XmR rules": marks,
    "mean + 2 sd": two_sigma,
    "Western Electric": western_electric,
}
