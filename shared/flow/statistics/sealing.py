"""What a plan seals before its change: the weeks to compare with, and what the measure remembers and where it drifts.

Values are oriented: less is better. All weeks are indices into the weeks before the change.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.ranks import memory, stretch
from shared.flow.statistics.trend import TREND_Z, slope, trend_z

HISTORY_POINTS, REFERENCE_POINTS = 52, 20
LEAST_REFERENCE, LEAST_HISTORY = 8, 12


class Ground(NamedTuple):
    """Which weeks before a change count, and which of them had the trouble."""

    trigger: Collection[int] = ()
    # The week in which a special cause opened the problem; None where the cause is not special.
    opened: int | None = None
    # The first week since the last relock.
    since: int = 0


class NotShown(StrEnum):
    """Why a change is not shown to have worked."""

    TOO_FEW_WEEKS_BEFORE = "too-few-weeks-before"
    NO_VARIATION = "no-variation"
    SAME_TIME_LAST_YEAR = "same-time-last-year"
    BALANCING = "balancing"
    TOO_FEW_WEEKS_AFTER = "too-few-weeks-after"
    WORSE = "worse"
    CANNOT_SHOW = "cannot-show"
    NO_DIFFERENCE = "no-difference"


class Weighed(NamedTuple):
    """The weeks that stand for the time before the change, and those that show memory and trend; oldest first."""

    reference: tuple[int, ...]
    history: tuple[int, ...]


class Seal(NamedTuple):
    """How to compare weeks after the change with the reference. `slope`: per week of the history; 0: no line."""

    weeks: Weighed
    phi: float
    trend_z: float
    slope: Fraction

    def raw(self, values: WeekValues) -> list[Value]:
        """The reference's values. A week that has lost its value since is left out."""
        return [value for week in self.weeks.reference if (value := values[week]) is not None]

    def before(self, values: WeekValues) -> list[Value]:
        """The reference's values, the line taken off."""
        if not self.slope:
            return self.raw(values)
        at = {week: index for index, week in enumerate(self.weeks.history)}
        return [v - self.slope * at[week] for week in self.weeks.reference if (v := values[week]) is not None]

    def after(self, values: WeekValues, first: int = 1) -> list[Value]:
        """The values of weeks after the change that have one, the line taken off; `first`: the number of the first."""
        start = len(self.weeks.history) - 1 + first
        if not self.slope:
            return [value for value in values if value is not None]
        return [value - self.slope * week for week, value in enumerate(values, start) if value is not None]

    def stretch(self, m: int, n: int, later: int = 0) -> float:
        """How much farther U must lie from its middle; `later`: weeks by which the second sample starts later."""
        if not self.slope:
            return stretch(self.phi, m, n)
        return stretch(self.phi, m, n, (m + 1) / 2 + (n - 1) / 2 + later, len(self.weeks.history))


def weigh(before: WeekValues, ground: Ground) -> Weighed:
    """Choose reference and history among the weeks before the change."""
    counted = [week for week, value in enumerate(before) if value is not None and week >= ground.since]
    clean = [week for week in counted if week not in ground.trigger]
    if ground.opened is None:
        history = counted[-HISTORY_POINTS:]
        reference = [week for week in clean if week in set(history)]
    else:
        trouble = min(ground.trigger, default=ground.opened)
        history = [week for week in counted if week < trouble][-HISTORY_POINTS:]
        reference = [week for week in clean if week > ground.opened]
    return Weighed(tuple(reference[-REFERENCE_POINTS:]), tuple(history))


def seal(before: WeekValues, ground: Ground) -> Seal | NotShown:
    """Fix how the change will be judged; or why it cannot be."""
    weeks = weigh(before, ground)
    if len(weeks.reference) < LEAST_REFERENCE or len(weeks.history) < LEAST_HISTORY:
        return NotShown.TOO_FEW_WEEKS_BEFORE
    history = [value for week in weeks.history if (value := before[week]) is not None]
    if len(set(history)) == 1:
        return NotShown.NO_VARIATION
    z = trend_z(history)
    line = slope(history) if z >= TREND_Z and ground.opened is None else Fraction(0)
    left = [value - line * index for index, value in enumerate(history)] if line else history
    return Seal(weeks, memory(left), z, line)
