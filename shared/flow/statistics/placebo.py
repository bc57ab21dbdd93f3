"""The placebo year: did the same weeks of last year, in which nothing was changed, show a gain too?"""

from __future__ import annotations

from fractions import Fraction

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.ranks import passes, stretch, twice_u
from shared.flow.statistics.sealing import REFERENCE_POINTS, Seal

_LEAST_WEEKS, _YEAR, _WEEKS = 85, 52, 13
_LEAST_REFERENCE, _LEAST_AFTER = 8, 10
_LEVEL = Fraction(1, 20)


def same_time_last_year(seal: Seal, before: WeekValues, since: int) -> bool | None:
    """Whether a change a year before this one would have looked like a gain; None where the history is too short.

    Values are oriented: less is better. `since`: the first week since the last relock.
    """
    if len(before) - since < _LEAST_WEEKS:
        return None
    start = len(before) - _YEAR
    reference = _points(seal, before, since, start)[-REFERENCE_POINTS:]
    late = _points(seal, before, start, start + _WEEKS)
    m, n = len(reference), len(late)
    if m < _LEAST_REFERENCE or n < _LEAST_AFTER:
        return None
    return passes(twice_u(reference, late, higher=False), m, n, _LEVEL, stretch(seal.phi, m, n))


def _points(seal: Seal, before: WeekValues, start: int, stop: int) -> list[Value]:
    weeks = enumerate(before[start:stop], start)
    return [value - seal.slope * week for week, value in weeks if value is not None]
