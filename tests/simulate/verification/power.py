"""Power: how often a lasting gain is verified within 13 weeks, and how soon; the draft rule beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from statistics import median

from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.segments import BASELINE_POINTS
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.shapes import WeekShape
from tests.simulate.verification.changes import (
    HISTORIES,
    STUDIED_SHAPES,
    SimulatedChange,
    is_verified,
    moved,
    share,
    studied_shape,
)

STUDY = "power"
GAINS = (0.5, 1, 1.5, 2)
_FEW = 12
_BEFORE = (20, 52)
# By kind of weeks: the least share verified, by gain in standard deviations. With 20 weeks of history one stable series
# in twenty seems to get better already, and must beat a trend that so few weeks cannot tell from it: see _least.
_INDEPENDENT, _THIN, _SHORT_MEMORY = {1: 0.5, 1.5: 0.85, 2: 0.93}, {1.5: 0.75}, {1.5: 0.6}
_LEAST: Mapping[str, Mapping[float, float]] = {
    "normal": _INDEPENDENT,
    "lognormal .5": _INDEPENDENT,
    "lognormal 1": _INDEPENDENT,
    "counts": _THIN,
    "counts, fewer is worse": _THIN,
    "thin medians": _THIN,
    "AR .3": _SHORT_MEMORY,
}
_LEAST_OF_FEW = 0.6


def cells() -> Iterator[Cell]:
    """By shape and number of weeks before the change."""
    for shape in STUDIED_SHAPES:
        for before in (_FEW, *_BEFORE):
            yield Cell(STUDY, f"{shape.name}, {before} weeks before", _power, (shape.name, before))


def _power(random: Random, scale: float, name: str, before: int) -> Iterator[SimulatedFigure]:
    shape = studied_shape(name)
    for gain in (1.5,) if before == _FEW else GAINS:
        changes = [_gained(random, shape, before, gain) for _ in range(scaled(HISTORIES, scale))]
        conclusions = [found.conclusion for found in (change.verify() for change in changes) if is_verified(found)]
        case, least = f"{name}, {before} weeks before, {gain:g} sigma", _least(name, before, gain)
        yield SimulatedFigure(STUDY, case, "verified", share(len(conclusions), len(changes)), least=least)
        if weeks := [one.week for one in conclusions if one.week is not None]:
            yield SimulatedFigure(STUDY, case, "weeks until verified (median)", median(weeks))
        if before >= BASELINE_POINTS:
            marked = sum(change.is_marked for change in changes)
            yield SimulatedFigure(STUDY, case, "draft rule", share(marked, len(changes)))


def _gained(random: Random, shape: WeekShape, before: int, gain: float) -> SimulatedChange:
    weeks = shape.weeks(random, before + WINDOW)
    return SimulatedChange(shape, moved(weeks, shape, -gain, before), before)


def _least(name: str, before: int, gain: float) -> float | None:
    if before == _FEW:
        return _LEAST_OF_FEW if _LEAST.get(name) is _INDEPENDENT else None
    if before == BASELINE_POINTS and gain == max(GAINS):
        return None
    return _LEAST.get(name, {}).get(gain)
