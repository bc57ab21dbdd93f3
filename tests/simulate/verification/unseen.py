"""Where no comparison of weeks before and after can be right: a slow drift, and the seasons. Stated, not promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import pi, sin
from random import Random

from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.verification import Verification
from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.shapes import NORMAL, UNIT
from tests.simulate.verification.changes import SimulatedChange, is_verified

STUDY = "limits of method"
_BEFORE = (20, 52, 104)
_YEAR, _AMPLITUDE = 52, 0.85
_GAIN = 1.5
# Fewer than elsewhere: there is no target.
_HISTORIES = 1000

# What is added to week `week` of a series, in standard deviations; `phase`: where in the year it begins.
_Course = Callable[[int, float], float]
_COURSES: dict[str, _Course] = {
    "drift of .03 sigma a week": lambda week, _: -0.03 * week,
    "drift of .05 sigma a week": lambda week, _: -0.05 * week,
    "seasons of .85 sigma": lambda week, phase: _AMPLITUDE * sin(2 * pi * (week / _YEAR + phase)),
    "neither": lambda *_: 0.0,
}


def cells() -> Iterator[Cell]:
    """By course, and by weeks before the change."""
    for course in _COURSES:
        for before in _BEFORE:
            yield Cell(STUDY, f"{course}, {before} weeks before", _unseen, (course, before))


def _unseen(random: Random, scale: float, course: str, before: int) -> Iterator[SimulatedFigure]:
    for what, gain in (("false verified", 0.0), (f"gains of {_GAIN:g} sigma verified", _GAIN)):
        found = [_study(random, _COURSES[course], before, gain) for _ in range(scaled(_HISTORIES, scale))]
        verified = sum(map(is_verified, found))
        yield share_figure(STUDY, f"{course}, {before} weeks before", what, verified, len(found))


def _study(random: Random, course: _Course, before: int, gain: float) -> Verification:
    phase, weeks = random.random(), NORMAL.weeks(random, before + WINDOW)
    steps = [course(week, phase) - (gain if week >= before else 0) for week in range(len(weeks))]
    changed = [value + round(UNIT * step) for value, step in zip(weeks, steps, strict=True)]
    return SimulatedChange(NORMAL, changed, before).verify()
