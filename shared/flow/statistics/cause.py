"""Cause class of a problem on counts: is it unusual for the stage's own charts, or how the stage ordinarily works?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from shared.contracts.problems import CauseClass
from shared.flow.statistics.columns import Column
from shared.flow.statistics.segments import BASELINE_POINTS, Segment
from shared.flow.statistics.windows import LONG, SHORT, Look, window_test
from shared.policy.watchable import Side

LEVEL = Fraction(1, 100)


class Cause(NamedTuple):
    """The class; and how many points there are of how many `needed` to tell, of the chart that has the most."""

    cause: CauseClass
    points: int
    needed: int


SPECIAL = Cause(CauseClass.SPECIAL, 0, 0)
UNKNOWN = Cause(CauseClass.UNKNOWN, 0, BASELINE_POINTS + SHORT)


def cause_of(
    charts: Sequence[tuple[Column, Side]], over: int, segments_of: Callable[[Column], Iterable[Segment]]
) -> Cause:
    """The cause class of a problem in a stage that the policy knows.

    `charts`: of the problem's rule, `Rule.cause_charts`. `over`: the first week that is not over when the problem
    opens. `segments_of`: of a chart of the problem's stage.
    """
    if not charts:
        return SPECIAL
    found = [_asked(segments_of(column), side, over) for column, side in charts]
    best = max(found, key=lambda one: one.points - one.needed)
    classes = {one.cause for one in found}
    first = next(one for one in (CauseClass.SPECIAL, CauseClass.COMMON, CauseClass.UNKNOWN) if one in classes)
    return best._replace(cause=first)


def _asked(segments: Iterable[Segment], side: Side, over: int) -> Cause:
    """What one chart says at its last point before week `over`."""
    begun = [one for one in segments if one.points and one.points[0].week < over]
    if not begun:
        return UNKNOWN
    segment, needed = begun[-1], begun[-1].size + SHORT
    known = [point for point in segment.points if point.week < over]
    look = _last_look(replace(segment, points=known), side)
    if look is None or look.twice_4 is None:
        return Cause(CauseClass.UNKNOWN, len(known), needed)
    return Cause(CauseClass.SPECIAL if look.fires else CauseClass.COMMON, len(known), needed)


def _last_look(segment: Segment, side: Side) -> Look | None:
    """The look at the segment's last point; None within its baseline."""
    test = window_test(segment, side, LEVEL)
    looks = list(test.looks(segment.after[-LONG:])) if test else []
    return looks[-1] if looks else None
