"""Was a special cause removed too soon to test? Then the rule that opened the problem must have been silent since."""

from __future__ import annotations

from shared.flow.statistics.columns import Point, WeekValues
from shared.flow.statistics.windows import WindowTest

RESTORED_WEEKS = 8
_LEAST_POINTS = 6


def is_silent(opening: WindowTest | bool, after: WeekValues) -> bool:
    """Whether the rule stayed silent in the eight weeks after the change.

    `opening`: the window test of the chart that opened the ticket; for rules of other kinds whether the problem was
    open at no instant of these weeks. `after`: values as measured, not oriented.
    """
    if isinstance(opening, bool):
        return opening
    points = [Point(week, value) for week, value in enumerate(after[:RESTORED_WEEKS], 1) if value is not None]
    return len(points) >= _LEAST_POINTS and not any(look.fires for look in opening.looks(points))
