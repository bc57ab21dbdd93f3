"""What a target that is out of reach is replaced by: the share in the long run, plus or less three standard errors.

The shares are those of the definition itself: an independent program found them in 10,000 to 100,000 histories each.
Why they lie beyond the targets: docs/developer/decisions/0018-reachable-targets.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, sqrt

_ERRORS = 3
_THOUSANDTHS = 1000

# Verified although nothing changed, by shape. A year of weeks shows the memory; 20 weeks do not.
_ANY_TIME: Mapping[str, float] = {"AR .45": 0.0266, "AR .6": 0.0297, "AR .75": 0.0326, "exp of AR .4": 0.0257}
_WORST_FOUR: Mapping[str, float] = {"AR .45": 0.0258, "AR .6": 0.0296, "AR .75": 0.0346, "exp of AR .4": 0.0250}
_WORST_STAGE: Mapping[str, float] = {
    "AR .15": 0.0311,
    "AR .3": 0.0398,
    "AR .45": 0.0449,
    "AR .6": 0.0486,
    "AR .75": 0.0525,
    "exp of AR .4": 0.0414,
}
_FIRED: Mapping[str, float] = {
    "AR .3": 0.0372,
    "AR .45": 0.0528,
    "AR .6": 0.0615,
    "AR .75": 0.0483,
    "exp of AR .4": 0.0454,
}
FALSE: Mapping[str, Mapping[str, float]] = {
    "any time, 20 weeks before": _ANY_TIME,
    "the worst four weeks in ten, 20 weeks before": _WORST_FOUR,
    "the worst of six stages, 20 weeks before": _WORST_STAGE,
    "a window fired from week 20 on, 8 to 12 weeks later": _FIRED,
}
# Verified gains, 20 weeks before in all, by gain. One stable series in twenty seems to get better already, and must
# beat a trend that so few weeks cannot tell from it.
POWER: Mapping[str, Mapping[float, float]] = {
    "normal": {1.5: 0.851, 2: 0.933},
    "lognormal .5": {2: 0.940},
    "AR .3": {1.5: 0.616},
}
# The same by weeks before, of weeks of which 13 are worth about three independent ones.
LONG_MEMORY_POWER: Mapping[int, float] = {20: 0.348, 52: 0.335}
# Useless changes verified after a true shift.
USELESS: Mapping[str, float] = {"AR .3": 0.0238, "AR .6": 0.0279}
# 90 % intervals that hold the truth, by shape and weeks before.
COVERED: Mapping[tuple[str, int], float] = {
    ("AR .3", 20): 0.876,
    ("AR .6", 20): 0.855,
    ("AR .3", 52): 0.887,
    ("AR .6", 52): 0.880,
}
# Gains of 1.5 standard deviations that hold, called decayed.
CALLED_DECAYED: Mapping[str, float] = {"AR .6": 0.0319}
# Lost gains found, by shape and gain.
LOSSES_FOUND: Mapping[tuple[str, float], float] = {("AR .6", 1.5): 0.689, ("AR .6", 2): 0.785}


def gate_above(share: float | None, target: float, of: int) -> float | None:
    """The most that `of` histories may show where the long run has `share`; None where the target holds for them."""
    if share is None:
        return None
    most = ceil(_THOUSANDTHS * (share + _ERRORS * _error(share, of))) / _THOUSANDTHS
    return most if most > target else None


def gate_below(share: float | None, target: float, of: int) -> float | None:
    """The least that `of` histories may show where the long run has `share`; None where the target holds for them."""
    if share is None:
        return None
    least = floor(_THOUSANDTHS * (share - _ERRORS * _error(share, of))) / _THOUSANDTHS
    return least if least < target else None


def _error(share: float, of: int) -> float:
    return sqrt(share * (1 - share) / of)
