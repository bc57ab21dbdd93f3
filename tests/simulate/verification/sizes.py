"""Sizes: does the interval of an effect hold the truth, and does the smallest effect that is promised show?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from statistics import fmean, median

from shared.flow.statistics.effect import Effect, Prediction, PredictionResult, SizeUnit
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.verification import Verification
from tests.simulate.figures import Cell, SimulatedFigure, scaled, share_figure
from tests.simulate.shapes import WeekShape
from tests.simulate.verification.changes import HISTORIES, SimulatedChange, is_verified, moved, studied_shape
from tests.simulate.verification.reachable import COVERED, gate_below

STUDY = "sizes"
_SHAPES = ("normal", "lognormal .5", "counts", "thin medians", "AR .3", "AR .6")
_GAINS, _BEFORE = (0, 1, 1.5), (20, 52)
_COVERED = 0.88


def cells() -> Iterator[Cell]:
    """Intervals, and the smallest effect, by shape and weeks before."""
    for name in _SHAPES:
        for before in _BEFORE:
            yield Cell(STUDY, f"interval, {name}, {before} weeks before", _intervals, (name, before))
            yield Cell(STUDY, f"smallest, {name}, {before} weeks before", _smallest, (name, before))


def _intervals(random: Random, scale: float, name: str, before: int) -> Iterator[SimulatedFigure]:
    shape = studied_shape(name)
    for gain in _GAINS:
        truth = abs(shape.worse_by(gain))
        prediction = Prediction(truth, SizeUnit.DIFFERENCE) if gain else None
        changes = [_gained(shape, shape.weeks(random, before + WINDOW), before, gain) for _ in range(_count(scale))]
        found = [change.verify(prediction=prediction) for change in changes]
        gate = gate_below(COVERED.get((name, before)), _COVERED, HISTORIES)
        yield from _interval_figures(f"{name}, {before} weeks before, {gain:g} sigma", shape, found, truth, gate)


def _interval_figures(
    case: str, shape: WeekShape, found: Sequence[Verification], truth: int, gate: float | None
) -> Iterator[SimulatedFigure]:
    effects = [one.effect for one in found if one.effect is not None]
    held = sum(_holds(effect, truth) for effect in effects)
    what = "90 % intervals that hold the truth"
    yield share_figure(STUDY, case, what, held, len(effects), least=_COVERED, gate=gate)
    unbounded = sum(effect.low is None for effect in effects)
    yield share_figure(STUDY, case, "effects without a bound", unbounded, len(effects))
    verified = [one for one in found if is_verified(one)]
    if truth and verified:
        seen = fmean(float(one.effect.estimate) for one in verified if one.effect) / abs(shape.worse_by(1))
        yield SimulatedFigure(STUDY, case, "sigma estimated where verified (mean)", seen)
        hits = sum(one.prediction in (PredictionResult.HIT, PredictionResult.HIT_COARSE) for one in verified)
        yield share_figure(STUDY, case, "true predictions that hit where verified", hits, len(verified))


def _holds(effect: Effect, truth: int) -> bool:
    """Without a bound it does."""
    return (effect.low is None or effect.low <= truth) and (effect.high is None or truth <= effect.high)


def _smallest(random: Random, scale: float, name: str, before: int) -> Iterator[SimulatedFigure]:
    """The true gain of each history is what its weeks before were said to be able to show."""
    shape, sizes, verified = studied_shape(name), list[float](), 0
    for _ in range(_count(scale)):
        weeks = shape.weeks(random, before + WINDOW)
        size = SimulatedChange(shape, weeks[:before], before).verify().smallest
        if size is not None:
            sizes.append(float(size) / abs(shape.worse_by(1)))
            verified += is_verified(_gained(shape, weeks, before, sizes[-1]).verify())
    case = f"{name}, {before} weeks before, the smallest size that can be shown"
    yield share_figure(STUDY, case, "verified", verified, len(sizes))
    if sizes:
        yield SimulatedFigure(STUDY, case, "sigma (median)", median(sizes))
    yield share_figure(STUDY, case, "histories that can show none", _count(scale) - len(sizes), _count(scale))


def _gained(shape: WeekShape, weeks: Sequence[int], before: int, gain: float) -> SimulatedChange:
    return SimulatedChange(shape, moved(weeks, shape, -gain, before), before)


def _count(scale: float) -> int:
    return scaled(HISTORIES, scale)
