"""`andon verify`, question `window`: when a window over a series fires, and the intervals of its problem."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from shared.flow.statistics.columns import Point
from shared.flow.statistics.questions.fields import Fields
from shared.flow.statistics.segments import BASELINE_LEAST, BASELINE_POINTS, Segment, segments
from shared.flow.statistics.windows import window_intervals, window_test
from shared.policy.watchable import Side

_KNOWN = ("ask", "bad", "points", "level", "baseline", "relocks")
_SIDES = {"higher": Side.HIGH, "lower": Side.LOW}


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Weeks are indices of `points`. All but the intervals is of the last segment."""
    fields = Fields(question, _KNOWN)
    side, level = _SIDES[fields.choice("bad", tuple(_SIDES))], Fraction(fields.number("level", above=0))
    values = fields.weeks("points")
    points = [Point(week, value) for week, value in enumerate(values) if value is not None]
    cuts: dict[int | None, int] = {None: fields.whole("baseline", BASELINE_LEAST, BASELINE_POINTS, BASELINE_POINTS)}
    found = segments(points, cuts | _relocks(fields, len(values)), len(values))
    intervals = [interval._asdict() for interval in window_intervals(found, side, level)]
    return {**_last(found[-1], side, level), "intervals": intervals}


def _relocks(fields: Fields, weeks: int) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for number, entry in enumerate(fields.items("relocks", [])):
        if not isinstance(entry, Mapping):
            raise fields.refused("relocks", "write a list of objects with from and points")
        relock = Fields(entry, ("from", "points"), f"relocks[{number}]")
        found[relock.whole("from", 0, weeks - 1)] = relock.whole(
            "points", BASELINE_LEAST, BASELINE_POINTS, BASELINE_POINTS
        )
    return found


def _last(segment: Segment, side: Side, level: Fraction) -> dict[str, Any]:
    test = window_test(segment, side, level)
    if test is None:
        return dict.fromkeys(("m", "baseline", "phi", "critical", "need", "looks"))
    return {
        "m": segment.size,
        "baseline": [point.week for point in segment.baseline],
        "phi": test.phi,
        "critical": {str(n): window.critical for n, window in test.windows.items()},
        "need": {str(n): window.need for n, window in test.windows.items()},
        "looks": [list(look) for look in test.looks(segment.after)],
    }
