"""How long deals stay in a stage, as a curve to draw: the share of visits that last longer than each of some times."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

from shared.flow.calendars import AgeClock
from shared.flow.statistics.learned_limits import recent_stays
from shared.flow.statistics.survival import LIMIT_SHARE, MIN_FINISHED, Survival
from shared.flow.visits import Visit

# Times of a curve, evenly spaced; a drawing shows no more.
POINTS = 60
_HALF = Fraction(1, 2)


class StayShares(NamedTuple):
    """The Kaplan-Meier estimate of visits entered in the past 180 days; times in microseconds of the stage's clock.

    `limit`: the least time that at most 15 % of visits exceed, None where more exceed every time; `median`: the same of
    one half. `steps`: (time, share that stays longer), from 0 to the longest time that a visit is known to have lasted.
    """

    finished: int
    open: int
    limit: int | None
    median: int | None
    steps: tuple[tuple[int, float], ...]


def stay_shares(known: Collection[Visit], clock: AgeClock, instant: int) -> StayShares | None:
    """From the visits as known at an instant; None where fewer than 30 of them are finished."""
    finished, ages = recent_stays(known, clock, instant)
    if len(finished) < MIN_FINISHED:
        return None
    survival, longest = Survival(finished, ages), max(finished[-1:] + ages[-1:])
    times = dict.fromkeys(longest * number // POINTS for number in range(POINTS + 1))
    steps = tuple((time, float(survival.exceeding(time))) for time in times)
    limit, median = survival.quantile(LIMIT_SHARE), survival.quantile(_HALF)
    return StayShares(len(finished), len(ages), limit, median, steps)
