"""How large the effect of a change is, with a 90 % interval, and what became of the prediction. Positive is better.

Hodges & Lehmann 1963, "Estimates of location based on rank tests": the median of all differences between a week before
and a week after, and the interval that belongs to the rank test. Values are oriented: less is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from math import ceil, sqrt
from typing import NamedTuple

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.interim_looks import enough
from shared.flow.statistics.ranks import TOLERANCE, critical, in_order
from shared.flow.statistics.sealing import Seal

_LEVEL = Fraction(1, 20)


class SizeUnit(StrEnum):
    """What a size is counted in: units of the measure, or shares of the value before the change."""

    DIFFERENCE = "difference"
    SHARE = "share"


class Prediction(NamedTuple):
    """How much better the measure will be; above 0."""

    size: Value
    unit: SizeUnit


class PredictionResult(StrEnum):
    """What became of a prediction."""

    HIT = "hit"
    HIT_COARSE = "hit-coarse"
    WRONG_SIZE_LESS = "wrong-size-less"
    WRONG_SIZE_MORE = "wrong-size-more"
    WRONG_DIRECTION = "wrong-direction"
    OPEN = "open"


class Effect(NamedTuple):
    """The size of a change and its 90 % interval; both ends are None where the weeks vary too much for one."""

    unit: SizeUnit
    estimate: Fraction | float
    low: Value | None
    high: Value | None

    @property
    def is_flattering(self) -> bool:
        """Whether a verified effect like this is on average smaller than it looks."""
        return self.low is not None and self.low < self.estimate / 3


def effect(seal: Seal, before: WeekValues, weeks: WeekValues, *, share: bool, higher: bool) -> Effect | None:
    """The effect in the weeks of the window; None where too few of them have a value.

    `share`: as a share of the value before, where all values are above 0. `higher`: the values are negated, since more
    of the measure is better.
    """
    late = seal.after(weeks)
    if len(late) < enough(len(weeks)):
        return None
    if share and (ratios := _shares(seal.raw(before), [value for value in weeks if value is not None], higher=higher)):
        return _effect(SizeUnit.SHARE, ratios, _middle_share(ratios, higher=higher), seal, len(late))
    gains = in_order(a - b for a in seal.before(before) for b in late)
    middle = Fraction(gains[len(gains) // 2] + gains[(len(gains) - 1) // 2]) / 2
    return _effect(SizeUnit.DIFFERENCE, gains, middle, seal, len(late))


def judge(prediction: Prediction, found: Effect, *, verified: bool) -> PredictionResult:
    """Hold the prediction against the effect's interval."""
    size, low, high = prediction.size, found.low, found.high
    if high is not None and high < 0:
        return PredictionResult.WRONG_DIRECTION
    if not verified or prediction.unit is not found.unit:
        return PredictionResult.OPEN
    if high is not None and size > high:
        return PredictionResult.WRONG_SIZE_LESS
    if low is not None and size < low:
        return PredictionResult.WRONG_SIZE_MORE
    is_coarse = low is None or high is None or high - low > size
    return PredictionResult.HIT_COARSE if is_coarse else PredictionResult.HIT


def _effect(unit: SizeUnit, gains: Sequence[Value], estimate: Fraction | float, seal: Seal, n: int) -> Effect:
    pairs, m = len(gains), len(gains) // n
    found = critical(m, n, _LEVEL)
    if found is None:
        return Effect(unit, estimate, None, None)
    rank = ceil(pairs / 2 + seal.stretch(m, n) * (found - pairs / 2) - TOLERANCE)
    if rank > pairs:
        return Effect(unit, estimate, None, None)
    return Effect(unit, estimate, gains[pairs - rank], gains[rank - 1])


def _shares(reference: Sequence[Value], late: Sequence[Value], *, higher: bool) -> list[Fraction]:
    """What each pair gained, as a share of the earlier week, least first; empty where a value is not above 0."""
    sign = -1 if higher else 1
    if min(sign * value for value in (*reference, *late)) <= 0:
        return []
    return in_order(sign * (1 - Fraction(b, a)) for a in reference for b in late)


def _middle_share(shares: Sequence[Fraction], *, higher: bool) -> float:
    """The median, taken on logarithms: of an even number of shares the geometric mean of both in the middle."""
    sign = -1 if higher else 1
    one, other = shares[len(shares) // 2], shares[(len(shares) - 1) // 2]
    return sign * (1 - sqrt((1 - sign * one) * (1 - sign * other)))
