"""Forecasts: how many of the promises that are 85 % sure are kept while the process stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from random import Random

from shared.flow.statistics.forecast import HORIZONS, forecast
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.shapes import autoregressive, poisson

STUDY = "forecast"
_MEAN, _HISTORY = 8, 52
_KINDS = ("Poisson", "variance 3 times the mean", "AR .3", "AR .6")


def cells() -> Iterator[Cell]:
    """Promises kept by kind of throughput."""
    for kind in _KINDS:
        yield Cell(STUDY, kind, _kept, (kind,))


def _kept(random: Random, scale: float, kind: str) -> Iterator[SimulatedFigure]:
    kept, promised = dict.fromkeys(HORIZONS, 0), 0
    histories = scaled(2500, scale)
    for _ in range(histories):
        weeks = [count for count, _ in zip(_throughput(random, kind), range(_HISTORY + max(HORIZONS)), strict=False)]
        found = forecast(weeks[:_HISTORY], 0, silent=False)
        if found.at_least is None:
            continue
        promised += 1
        for horizon, least in found.at_least.items():
            kept[horizon] += sum(weeks[_HISTORY : _HISTORY + horizon]) >= least
    for horizon in HORIZONS:
        what = f"promises for {horizon} weeks kept"
        yield SimulatedFigure(STUDY, kind, what, kept[horizon] / max(promised, 1), least=0.83)
    yield SimulatedFigure(STUDY, kind, "histories stable enough to forecast", promised / histories)


def _throughput(random: Random, kind: str) -> Iterator[int]:
    if kind.startswith("AR"):
        for value in autoregressive(float(kind[3:]))(random):
            yield max(0, round(_MEAN + sqrt(_MEAN) * value))
    while True:
        mean = _MEAN if kind == "Poisson" else random.gammavariate(_MEAN / 2, 2)
        yield poisson(random, mean)
