"""False tickets of window rules per pipeline and quarter, and how many weeks they take to find a shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from random import Random
from statistics import median

from shared.flow.statistics.segments import BASELINE_POINTS
from tests.simulate.alarms import RIVALS, Alarm, windows
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.shapes import AR3, AR6, COUNTS, LOGNORMAL, NORMAL, SHAPES, WeekShape

STUDY = "windows"
CHARTS = (8, 18, 36)
SHIFTS = (1, 1.5, 2, 3)
_FALSE_HISTORIES, _FOUND_HISTORIES = 5000, 2500
_QUARTER, _QUARTERS = 13, 4
# Quiet weeks between the baseline and a shift, and how long a shift is looked for.
_QUIET, _SOUGHT = 13, 26
# Stages, deals that leave each of them a week: of an alarm on each deal.
_STAGES, _DEALS = 6, 10
# Found within a quarter where a pipeline watches 18 charts of normal weeks.
_FOUND_LEAST = {1.5: 0.65, 2: 0.85, 3: 0.98}


def cells() -> Iterator[Cell]:
    """False tickets by shape; weeks until found by shape; both of the rivals."""
    for shape in SHAPES:
        yield Cell(STUDY, f"false, {shape.name}", _false, (shape.name,))
    for shape in (NORMAL, LOGNORMAL, COUNTS, AR3, AR6):
        yield Cell(STUDY, f"found, {shape.name}", _found, (shape.name,))
    yield Cell(STUDY, "per deal over p85", _per_deal)


def _shape(name: str) -> WeekShape:
    return next(shape for shape in SHAPES if shape.name == name)


def _alarms() -> dict[str, tuple[int, Alarm]]:
    """By name: the charts of the pipeline, and the alarm."""
    own = {f"windows, K = {charts}": (charts, windows(charts)) for charts in CHARTS}
    return own | {f"{name}, K = 18": (18, alarm) for name, alarm in RIVALS.items()}


def _false(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    shape, alarms = _shape(name), _alarms()
    opened, histories = dict.fromkeys(alarms, 0), scaled(_FALSE_HISTORIES, scale)
    for _ in range(histories):
        values = shape.weeks(random, BASELINE_POINTS + _QUARTER * _QUARTERS)
        for alarm_name, (_, alarm) in alarms.items():
            opened[alarm_name] += _openings(alarm(values, shape.side))
    for alarm_name, (charts, _) in alarms.items():
        rate = charts * opened[alarm_name] / (histories * _QUARTERS)
        what = f"false tickets per pipeline and quarter: {alarm_name}"
        yield SimulatedFigure(STUDY, shape.name, what, rate, most=_most(shape, alarm_name))


def _most(shape: WeekShape, alarm: str) -> float | None:
    """The owner accepts 1. A memory of .6 is longer than 20 weeks can show: with many charts it is only stated."""
    if not alarm.startswith("windows") or (shape is AR6 and alarm.endswith("36")):
        return None
    return 1.0


def _openings(alarms: Iterable[bool]) -> int:
    """A ticket stays open while the alarm lasts."""
    return sum(now and not before for before, now in pairwise([False, *alarms]))


def _found(random: Random, scale: float, name: str) -> Iterator[SimulatedFigure]:
    shape, histories = _shape(name), scaled(_FOUND_HISTORIES, scale)
    since = BASELINE_POINTS + _QUIET
    for shift in SHIFTS:
        series = [shape.weeks(random, since + _SOUGHT, shift, since) for _ in range(histories)]
        for alarm_name, (_, alarm) in _alarms().items():
            weeks = [_weeks_until(alarm(values, shape.side)) for values in series]
            yield from _found_figures(shape, shift, alarm_name, weeks)


def _found_figures(shape: WeekShape, shift: float, alarm: str, weeks: Sequence[float]) -> Iterator[SimulatedFigure]:
    case = f"{shape.name}, {shift:g} sigma"
    least = _FOUND_LEAST.get(shift) if shape is NORMAL and alarm == "windows, K = 18" else None
    share = sum(week <= _QUARTER for week in weeks) / len(weeks)
    yield SimulatedFigure(STUDY, case, f"found within 13 weeks: {alarm}", share, least=least)
    middle = median(weeks)
    yield SimulatedFigure(STUDY, case, f"weeks until found (median; 99 = later than 26): {alarm}", min(middle, 99))


def _weeks_until(alarms: Sequence[bool]) -> float:
    """Weeks from the shift to the end of the first week with an alarm."""
    return next((week for week, rings in enumerate(alarms[_QUIET:], 1) if rings), inf)


def _per_deal(random: Random, scale: float) -> Iterator[SimulatedFigure]:
    """A ticket for each deal that takes longer than 85 % of the baseline's deals did."""
    opened, quarters = 0, scaled(400, scale)
    for _ in range(quarters):
        for _ in range(_STAGES):
            stays = sorted(random.lognormvariate(0, 0.8) for _ in range(_DEALS * BASELINE_POINTS))
            limit = stays[len(stays) * 85 // 100]
            opened += sum(random.lognormvariate(0, 0.8) > limit for _ in range(_DEALS * _QUARTER))
    what = f"false tickets per pipeline and quarter: each deal over p85, {_STAGES} stages of {_DEALS} deals a week"
    yield SimulatedFigure(STUDY, "lognormal stays", what, opened / quarters)
