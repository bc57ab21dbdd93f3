"""The smallest effect that a measure can show in a window of weeks, known before the change (power of four in five).

The reference weeks stand for the weeks after the change, all moved by the size that is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.interim_looks import LEVELS
from shared.flow.statistics.ranks import TOLERANCE, critical
from shared.flow.statistics.sealing import Seal

# Standard deviations of U by which a change must exceed what is needed.
_MARGIN = 0.6312


def smallest(seal: Seal, before: WeekValues, window: int, *, share: bool, higher: bool) -> Value | None:
    """The smallest effect that the last look finds, or None where none is large enough.

    `share`: as a share of the value before, where the reference is above 0. `higher`: the values are negated, since
    more of the measure is better.
    """
    raw = [-value if higher else value for value in seal.raw(before)]
    if share and min(raw) > 0:
        found = _least([Fraction(b, a) for a in raw for b in raw], 1, seal, window)
        if found is None:
            return None
        return found - 1 if higher else 1 - 1 / Fraction(found)
    reference = seal.before(before)
    return _least([b - a for a in reference for b in reference], 0, seal, window)


def _least(moves: Sequence[Value], none: int, seal: Seal, window: int) -> Value | None:
    """The least move above `none`, which is no move, that the test finds."""
    m = round(sqrt(len(moves)))
    needed = _needed(m, window, seal)
    if needed is None:
        return None
    ordered = sorted(moves)
    for move in ordered[bisect_right(ordered, none) :]:
        twice = bisect_left(ordered, move) + bisect_right(ordered, move)
        if Fraction(window * twice, 2 * m) - Fraction(m * window, 2) >= needed:
            return move
    return None


def _needed(m: int, window: int, seal: Seal) -> float | None:
    """The distance of U from its middle that an effect must promise."""
    found, g = critical(m, window, LEVELS[-1]), seal.stretch(m, window)
    if found is None:
        return None
    spread = sqrt(m * window * (m + window + 1) / 12)
    return g * (found - m * window / 2) + _MARGIN * g * spread - TOLERANCE
