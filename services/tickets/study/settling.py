"""How long it takes until a change for new deals only shows in what leaves a stage. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from shared.contracts.now import StayCurve
from shared.policy import Policy
from shared.policy.model import CALENDAR

MAX_WEEKS = 4
_CALENDAR_WEEK = 7 * 86_400


def settling_weeks(stays: StayCurve | None, medians: Sequence[Fraction], week_seconds: int) -> int:
    """Whole weeks, rounded up, until half of the deals that enter a stage have left it; at most 4.

    `stays`: what is learned of the stage; None: too little. Then the middle one of `medians`, the weekly medians of
    time in stage in seconds, stands for it. 0 where nothing is known. `week_seconds`: of a week on the stage's clock.
    """
    if stays is not None:
        return MAX_WEEKS if stays.median_seconds is None else _weeks(stays.median_seconds, week_seconds)
    if not medians:
        return 0
    return _weeks(sorted(medians)[len(medians) // 2], week_seconds)


def week_seconds(policy: Policy, pipeline: str, stage: str) -> int:
    """The length of a week on a stage's clock."""
    name = policy.pipelines[pipeline].clock_of(stage)
    if name == CALENDAR:
        return _CALENDAR_WEEK
    clock = policy.clocks[name]
    return clock.day_seconds * len(clock.days)


def _weeks(seconds: Fraction | float, week: int) -> int:
    return min(ceil(seconds / week - 1e-9), MAX_WEEKS)
