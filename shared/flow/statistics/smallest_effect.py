"""The smallest effect that a measure can show in a window of weeks, known before the change (power of four in five).

The reference weeks stand for the weeks after the change, all moved by the size that is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.interim_looks import LEVELS
from shared.flow.statistics.ranks import TOLERANCE, critical, in_order
from shared.flow.statistics.sealing import Seal

# Standard deviations of U by which a change must exceed what is needed.
_MARGIN = 0.6312
# After a change U varies less than by chance alone: at the margin four in five are found.
_FOUND_AT_MARGIN = 0.8


def smallest(
    seal: Seal, before: WeekValues, weeks: int, *, share: bool, higher: bool, level: Fraction = LEVELS[-1]
) -> Value | None:
    """The smallest effect that a look at the first `weeks` finds, or None where none is large enough.

    `share`: as a share of the value before, where the reference is above 0. `higher`: the values are negated, since
    more of the measure is better. `level`: of the look; without it, of the last one.
    """
    m, needed = len(seal.raw(before)), _needed(seal, before, weeks, level)
    moves = _moves(seal, before, share, higher)
    if needed is None:
        return None

    # Twice the pairs, of m * m, that a move must make better; exact, whatever double `needed` is.
    twice = ceil((Fraction(needed) + Fraction(m * weeks, 2)) * 2 * m / weeks)
    # The larger a move, the more pairs it makes better.
    none = bisect_right(moves.ordered, 1 if moves.are_ratios else 0)
    least = bisect_left(moves.ordered, True, lo=none, key=lambda move: moves.twice_below(move) >= twice)
    if least == len(moves.ordered):
        return None
    return _size(moves.ordered[least], higher) if moves.are_ratios else moves.ordered[least]


def missed(seal: Seal, before: WeekValues, window: int, size: Value, *, share: bool, higher: bool) -> float | None:
    """The chance that a true effect is not found, about. None where no effect can be found, or it cannot be a share.

    `size`: above 0, in the measure's unit or as a share, as `smallest` has it.
    """
    m, needed = len(seal.raw(before)), _needed(seal, before, window, LEVELS[-1])
    moves = _moves(seal, before, share, higher)
    if needed is None or moves.are_ratios is not share:
        return None
    twice = moves.twice_below(_ratio(size, higher) if share else size)
    distance = window * twice / (2 * m) - m * window / 2
    margin = _margin(seal, m, window)
    normal = NormalDist()
    return 1 - normal.cdf((distance - needed + margin) / margin * normal.inv_cdf(_FOUND_AT_MARGIN))


class _Moves(NamedTuple):
    """All differences of two values of the reference, in order; or their ratios."""

    ordered: Sequence[Value]
    are_ratios: bool

    def twice_below(self, move: Value | None) -> int:
        """Twice the number of pairs that a move of all later weeks makes better, a tie counting one half."""
        if move is None:
            return 2 * len(self.ordered)
        return bisect_left(self.ordered, move) + bisect_right(self.ordered, move)


def _moves(seal: Seal, before: WeekValues, share: bool, higher: bool) -> _Moves:
    raw = [-value if higher else value for value in seal.raw(before)]
    if share and min(raw) > 0:
        return _Moves(in_order(Fraction(b, a) for a in raw for b in raw), are_ratios=True)
    reference = seal.before(before)
    return _Moves(in_order(b - a for a in reference for b in reference), are_ratios=False)


def _size(ratio: Value, higher: bool) -> Value:
    return ratio - 1 if higher else 1 - 1 / Fraction(ratio)


def _ratio(size: Value, higher: bool) -> Value | None:
    """None: nothing is left of the measure, which is better than every other week."""
    if higher:
        return 1 + size
    return 1 / (1 - Fraction(size)) if size < 1 else None


def _needed(seal: Seal, before: WeekValues, weeks: int, level: Fraction) -> float | None:
    """The distance of U from its middle that an effect must promise."""
    m = len(seal.raw(before))
    found = critical(m, weeks, level)
    if found is None:
        return None
    return seal.stretch(m, weeks) * (found - m * weeks / 2) + _margin(seal, m, weeks) - TOLERANCE


def _margin(seal: Seal, m: int, weeks: int) -> float:
    """By how much U must exceed its needed distance for four in five effects to be found."""
    return _MARGIN * seal.stretch(m, weeks) * sqrt(m * weeks * (m + weeks + 1) / 12)
