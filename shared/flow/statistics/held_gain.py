"""Is a verified gain held in the 13 weeks after the window? Values are oriented: less is better."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from shared.flow.statistics.columns import WeekValues
from shared.flow.statistics.interim_looks import enough
from shared.flow.statistics.ranks import passes, twice_u
from shared.flow.statistics.sealing import Seal

HOLD_WEEKS = 13
_LEAST_LATER = 10
_WORSE_LEVEL, _BETTER_LEVEL = Fraction(1, 40), Fraction(1, 20)


class Hold(StrEnum):
    """What became of a gain. Decayed: worse than right after the change, and no better than before it."""

    HELD = "held"
    FADING = "fading"
    DECAYED = "decayed"
    UNKNOWN = "unknown"


def hold(seal: Seal, before: WeekValues, after: WeekValues, window: int) -> Hold | None:
    """Whether the gain is held; None until the weeks are over."""
    if len(after) < window + HOLD_WEEKS:
        return None
    gained = seal.after(after[:window])
    later = seal.after(after[window : window + HOLD_WEEKS], first=window + 1)
    if len(gained) < enough(window) or len(later) < _LEAST_LATER:
        return Hold.UNKNOWN
    reference = seal.before(before)
    m, n = len(reference), len(later)
    better = twice_u(reference, later, higher=False)
    if passes(better, m, n, _BETTER_LEVEL, seal.stretch(m, n, later=window)):
        return Hold.HELD
    worse, m = twice_u(gained, later, higher=True), len(gained)
    return Hold.DECAYED if passes(worse, m, n, _WORSE_LEVEL, seal.stretch(m, n)) else Hold.FADING
