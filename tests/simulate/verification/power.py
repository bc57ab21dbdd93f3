"""Power: how often a lasting gain is verified within 13 weeks, and how soon; the draft rule beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from statistics import median

from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.segments import BASELINE_POINTS
from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.shapes import WeekShape
from tests.simulate.verification.changes import (
    HISTORIES,
    STUDIED_SHAPES,
    SimulatedChange,
    is_verified,
    moved,
    studied_shape,
)
from tests.simulate.verification.reachable import LONG_MEMORY_POWER, POWER, gate_below

STUDY = "power"
GAINS = (1, 1.5, 2)
_FEW = 12
_BEFORE = (20, 52)
# By kind of weeks: the least share verified, by gain in standard deviations.
_INDEPENDENT, _THIN, _SHORT_MEMORY = {1: 0.5, 1.5: 0.85, 2: 0.93}, {1.5: 0.75}, {1.5: 0.6}
_LONG_MEMORY = {1.5: 0.35}
_LEAST: Mapping[str, Mapping[float, float]] = {
    "normal": _INDEPENDENT,
    "lognormal .5": _INDEPENDENT,
    "lognormal 1": _INDEPENDENT,
    "counts": _THIN,
    "counts, fewer is worse": _THIN,
    "thin medians": _THIN,
    "AR .3": _SHORT_MEMORY,
    "AR .6": _LONG_MEMORY,
}
_LEAST_OF_FEW = 0.6
# The draft rule has no target.
_DRAFT_HISTORIES = 500


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
        gate = None if least is None else gate_below(_long_run(name, before, gain), least, HISTORIES)
        yield share_figure(STUDY, case, "verified", len(conclusions), len(changes), least=least, gate=gate)
        if weeks := [one.week for one in conclusions if one.week is not None]:
            yield SimulatedFigure(STUDY, case, "weeks until verified (median)", median(weeks))
        if before >= BASELINE_POINTS:
            marked = [change.is_marked for change in changes[: scaled(_DRAFT_HISTORIES, scale)]]
            yield share_figure(STUDY, case, "draft rule", sum(marked), len(marked))


def _gained(random: Random, shape: WeekShape, before: int, gain: float) -> SimulatedChange:
    weeks = shape.weeks(random, before + WINDOW)
    return SimulatedChange(shape, moved(weeks, shape, -gain, before), before)


def _least(name: str, before: int, gain: float) -> float | None:
    if before == _FEW:
        return _LEAST_OF_FEW if _LEAST.get(name) is _INDEPENDENT else None
    return _LEAST.get(name, {}).get(gain)


def _long_run(name: str, before: int, gain: float) -> float | None:
    """Where the target is out of reach, or too near for this many histories."""
    if _LEAST.get(name) is _LONG_MEMORY:
        return LONG_MEMORY_POWER[before]
    return POWER.get(name, {}).get(gain) if before == BASELINE_POINTS else None
