"""When a locked baseline is old enough to be renewed: after 52 weeks that it judged and in which nothing fired.

A lock is never moved by itself: quiet weeks may have drifted by little each. A person decides.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from shared.flow.statistics.segments import BASELINE_POINTS, Segment
from shared.flow.statistics.windows import window_looks
from shared.policy.watchable import Side

QUIET_WEEKS = 52
# At which a chart that no rule watches counts as quiet: as for cause classes, on both sides.
_UNWATCHED = Fraction(1, 100)


class Renewal(NamedTuple):
    """The proposed lock: its baseline would be the newest `points` weeks, from week `since` on."""

    since: int
    points: int


def renewal(segment: Segment, side: Side | None, level: Fraction | None) -> Renewal | None:
    """The proposal for the newest segment of a chart; None while the lock is young, or the weeks were not quiet.

    `side` and `level`: of the rule that watches the chart; None where none does.
    """
    if len(segment.after) < QUIET_WEEKS:
        return None
    asked = [(one, _UNWATCHED) for one in Side] if side is None or level is None else [(side, level)]
    if any(look.fires for one, at in asked for look in window_looks(segment, one, at)[-QUIET_WEEKS:]):
        return None
    return Renewal(segment.points[-BASELINE_POINTS].week, BASELINE_POINTS)
