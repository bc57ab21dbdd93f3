"""Why a change is made where nothing changes: at any time, or after weeks that were bad by chance.

Chosen weeks are worse than usual, so that the weeks after them are better whatever is done (regression to the mean).
Each selection gives up to `count` changes, each with 13 weeks after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from random import Random

from shared.flow.statistics.columns import Point
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.segments import BASELINE_POINTS, Segment
from shared.flow.statistics.watched import LOOKS_A_QUARTER
from shared.flow.statistics.windows import window_intervals
from shared.policy.watchable import Side
from tests.simulate.alarms import marks
from tests.simulate.shapes import WeekShape
from tests.simulate.verification.changes import SimulatedChange

# Weeks after the baseline in which an opening is looked for, and series per change that are tried.
_SOUGHT, _TRIES = 60, 80
_END = BASELINE_POINTS + _SOUGHT
# False windows of a pipeline with eight charts, whose owner accepts one false ticket a quarter.
OPENING_LEVEL = Fraction(1, LOOKS_A_QUARTER * 8)
# Weeks between the opening of a special cause and the change, and of any other problem.
SPECIAL_GAP, _GAP = (8, 12), (2, 8)
_STAGES, _WORST_OF = 6, 10

Selection = Callable[[Random, WeekShape, int], Iterator[SimulatedChange]]
# The week in which a problem opens; None: none opens.
_Opening = Callable[[list[int], WeekShape], int | None]


def _any_time(before: int) -> Selection:
    def changes(random: Random, shape: WeekShape, count: int) -> Iterator[SimulatedChange]:
        for _ in range(count):
            yield SimulatedChange(shape, shape.weeks(random, before + WINDOW), before)

    return changes


def _special(since: int, gap: tuple[int, int] = SPECIAL_GAP) -> Selection:
    """A window fires by chance in week `since` or later; the change comes `gap` weeks later."""
    end = max(_END, since + _SOUGHT)

    def tries(random: Random, shape: WeekShape, count: int) -> Iterator[SimulatedChange]:
        for _ in range(count * _TRIES):
            weeks = shape.weeks(random, end + gap[1] + WINDOW + 1)
            if ground := special_ground(weeks[:end], shape, since):
                change = (ground.opened or 0) + 1 + random.randint(*gap)
                yield SimulatedChange(shape, weeks[: change + WINDOW], change, ground)

    return lambda random, shape, count: islice(tries(random, shape, count), count)


def special_ground(weeks: list[int], shape: WeekShape, since: int) -> Ground | None:
    """The first problem that a window opens in week `since` or later."""
    segment = Segment([Point(week, value) for week, value in enumerate(weeks)], BASELINE_POINTS)
    found = window_intervals([segment], shape.side, OPENING_LEVEL)
    return next((Ground(one.trigger, one.opened) for one in found if one.opened >= since), None)


def _after(opening: _Opening) -> Selection:
    """A problem opens, no matter how, and a few weeks later something is changed."""

    def tries(random: Random, shape: WeekShape, count: int) -> Iterator[SimulatedChange]:
        for _ in range(count * _TRIES):
            weeks = shape.weeks(random, _END + _GAP[1] + WINDOW)
            if (opened := opening(weeks[:_END], shape)) is not None:
                change = opened + random.randint(*_GAP)
                yield SimulatedChange(shape, weeks[: change + WINDOW], change, trouble(opened))

    return lambda random, shape, count: islice(tries(random, shape, count), count)


def trouble(opened: int) -> Ground:
    """Of a problem that no window opened: its week and the three before."""
    return Ground(range(opened - 3, opened + 1))


def _marked(weeks: list[int], shape: WeekShape) -> int | None:
    rings = marks(weeks, shape.side)
    return BASELINE_POINTS + rings.index(True) if True in rings else None


def _beyond_all(weeks: list[int], shape: WeekShape) -> int | None:
    """A week that is worse than every one of the baseline: a limit set from experience."""
    sign = 1 if shape.side is Side.HIGH else -1
    limit = max(sign * value for value in weeks[:BASELINE_POINTS])
    return next((week for week, value in enumerate(weeks) if sign * value > limit), None)


def _worst_four(before: int) -> Selection:
    """The last four weeks are in the worst tenth of their kind; one to three weeks later something is changed."""

    def changes(random: Random, shape: WeekShape, count: int) -> Iterator[SimulatedChange]:
        series = [shape.weeks(random, before + 2 + WINDOW) for _ in range(_WORST_OF * count)]
        series.sort(key=lambda weeks: sum(weeks[before - 4 : before]), reverse=shape.side is Side.HIGH)
        for weeks in series[:count]:
            change = before - 1 + random.randint(1, 3)
            yield SimulatedChange(shape, weeks[: change + WINDOW], change, trouble(before - 1))

    return changes


def _worst_stage(before: int) -> Selection:
    """Of six stages the one with the worst eight weeks is changed at once."""

    def changes(random: Random, shape: WeekShape, count: int) -> Iterator[SimulatedChange]:
        for _ in range(count):
            stages = [shape.weeks(random, before + WINDOW) for _ in range(_STAGES)]
            stages.sort(key=lambda weeks: sum(weeks[before - 8 : before]))
            worst = stages[-1 if shape.side is Side.HIGH else 0]
            yield SimulatedChange(shape, worst, before, trouble(before - 1))

    return changes


SELECTIONS: dict[str, Selection] = {
    "any time, 20 weeks before": _any_time(20),
    "any time, 52 weeks before": _any_time(52),
    "a window fired from week 20 on, 2 to 8 weeks later": _special(BASELINE_POINTS, _GAP),
    "a window fired from week 20 on, 8 to 12 weeks later": _special(BASELINE_POINTS),
    "a window fired from week 60 on, 8 to 12 weeks later": _special(60),
    "an XmR mark, 2 to 8 weeks later": _after(_marked),
    "a limit crossed, 2 to 8 weeks later": _after(_beyond_all),
    "the worst four weeks in ten, 20 weeks before": _worst_four(20),
    "the worst four weeks in ten, 52 weeks before": _worst_four(52),
    "the worst of six stages, 20 weeks before": _worst_stage(20),
    "the worst of six stages, 52 weeks before": _worst_stage(52),
}
