"""How many deals a pipeline will close: what a year of its own weeks promises, gated, with its back-test beside it.

A sum of weeks drawn from the history, widened by what the pipeline remembers from week to week and by how little a
history of few weeks knows of its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, sqrt

from shared.flow.statistics.ranks import TOLERANCE, critical, memory, twice_u, vif
from shared.flow.statistics.trend import TREND_Z, trend_z
from shared.flow.statistics.week_sums import Draws

HORIZONS = (4, 13)
_YEAR = 52
_LEAST_WEEKS = 20
_RECENT = 8
_RECENT_LEVEL = Fraction(1, 50)
_SURE, _LOW, _HIGH = Fraction(3, 20), Fraction(1, 20), Fraction(19, 20)
_ORIGINS, _TESTED = 13, 4


class WhyNot(StrEnum):
    """Why a pipeline is not stable enough to forecast: the first reason that applies, in this order."""

    TOO_FEW_WEEKS = "too-few-weeks"
    TREND = "trend"
    RECENT_CHANGE = "recent-change"
    SILENCE = "silence"


@dataclass(frozen=True)
class BackTest:
    """Promises for four weeks made from the past alone: how many of them were kept."""

    kept: int
    of: int


@dataclass(frozen=True)
class Forecast:
    """Closings of the next 4 and 13 weeks.

    `weeks`: weeks of history used. `at_least`: 85 % sure. `done_in_weeks`: until all `open` deals are closed, None when
    that takes more than a year. What is promised is None where `why` tells the reason.
    """

    weeks: int
    why: WhyNot | None
    phi: float | None
    open: int
    at_least: dict[int, int] | None = None
    range: dict[int, tuple[int, int]] | None = None
    done_in_weeks: int | None = None
    backtest: BackTest | None = None


def forecast(throughput: Sequence[int], open_deals: int, *, silent: bool) -> Forecast:
    """The forecast from the weeks of the chart's current segment, oldest first.

    `open_deals`: how many are to be closed. `silent`: whether a source of the pipeline is silent now.
    """
    history = throughput[-_YEAR:]
    if len(history) < _LEAST_WEEKS:
        return Forecast(len(history), WhyNot.TOO_FEW_WEEKS, None, open_deals)
    outlook, tested = Outlook(history), back_test(throughput)
    why = _gate(history, silent=silent)
    if why:
        return Forecast(len(history), why, outlook.phi, open_deals, backtest=tested)
    at_least = {weeks: outlook.at_least(weeks) for weeks in HORIZONS}
    ranges = {weeks: outlook.between(weeks) for weeks in HORIZONS}
    done = outlook.weeks_until(open_deals)
    return Forecast(len(history), None, outlook.phi, open_deals, at_least, ranges, done, tested)


def back_test(throughput: Sequence[int]) -> BackTest:
    """The last 13 promises that could have been made for four weeks that are over by now."""
    origins = range(_LEAST_WEEKS, len(throughput) - _TESTED + 1)[-_ORIGINS:]
    kept = sum(
        sum(throughput[origin : origin + _TESTED]) >= Outlook(throughput[:origin][-_YEAR:]).at_least(_TESTED)
        for origin in origins
    )
    return BackTest(kept, len(origins))


class Outlook:
    """What the weeks of a history promise for the sum of the next ones."""

    def __init__(self, history: Sequence[int]) -> None:
        self._draws = Draws(history)
        self._length = len(history)
        self.phi = memory(history)

    def closings(self, weeks: int, p: Fraction) -> float:
        """The number that the closings of the next weeks do not exceed with a probability of p."""
        mean = weeks * self._draws.mean
        return float(mean) + self._width(weeks) * float(self._draws.quantile(weeks, p) - mean)

    def at_least(self, weeks: int) -> int:
        """So many closings in the next weeks, 85 % sure."""
        return max(0, floor(self.closings(weeks, _SURE) + TOLERANCE))

    def between(self, weeks: int) -> tuple[int, int]:
        """Between these lie the closings of the next weeks, 90 % sure."""
        low, high = self.closings(weeks, _LOW), self.closings(weeks, _HIGH)
        return max(0, floor(low + TOLERANCE)), max(0, ceil(high - TOLERANCE))

    def weeks_until(self, closings: int) -> int | None:
        """The least number of weeks, up to a year, that promises so many closings; None when a year does not."""
        if closings == 0:
            return 0
        asked = (weeks for weeks in range(1, _YEAR + 1) if self._at_most(weeks) >= closings)
        return next((weeks for weeks in asked if self.at_least(weeks) >= closings), None)

    def _at_most(self, weeks: int) -> float:
        """A bound on what `at_least` can be, without a distribution (Cantelli's inequality): spares to work it out."""
        above = sqrt(self._draws.variance * weeks * _SURE / (1 - _SURE))
        return float(weeks * self._draws.mean) + self._width(weeks) * above + 1

    def _width(self, weeks: int) -> float:
        return sqrt(vif(self.phi, weeks) + self._vif * weeks / self._length)

    @cached_property
    def _vif(self) -> float:
        return vif(self.phi, self._length)


def _gate(history: Sequence[int], *, silent: bool) -> WhyNot | None:
    """Why not to forecast, from 20 weeks on."""
    if abs(trend_z(history)) >= TREND_Z:
        return WhyNot.TREND
    if _changed(history):
        return WhyNot.RECENT_CHANGE
    return WhyNot.SILENCE if silent else None


def _changed(history: Sequence[int]) -> bool:
    """Whether the last eight weeks rank differently, up or down, from the up to twenty before them."""
    before, recent = history[:-_RECENT][-_LEAST_WEEKS:], history[-_RECENT:]
    pairs = len(before) * _RECENT
    least = critical(len(before), _RECENT, _RECENT_LEVEL)
    return least is not None and abs(twice_u(before, recent, higher=True) - pairs) >= 2 * least - pairs
