"""A bottleneck: a stage whose WIP and whose deals' ages are higher than its baseline while more comes in than goes out.

Its label says whether less goes out (capacity) or more comes in (demand) than before, and whether the next stage runs
dry. Little's law (Little 1961, "A proof for the queuing formula L = lambda W") holds where WIP and age do not drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from statistics import median
from typing import NamedTuple

from shared.contracts.problems import BottleneckLabel
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.windows import LONG, window_looks, window_test
from shared.policy.watchable import Side

_LEVEL, _LABEL_LEVEL = Fraction(1, 100), Fraction(5, 100)
_QUARTER = 13
_NO_DRIFT = 0.1
_COLUMNS = (Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END, Column.OPEN_AGE_MEAN)


class Inflow(NamedTuple):
    """Of the last 13 weeks: arrivals less departures, and both together."""

    net: int
    volume: int

    @property
    def exceeds(self) -> bool:
        """Whether more comes in than chance lets expect."""
        return self.net > 0 and self.net**2 > self.volume


class BottleneckLook(NamedTuple):
    """What is established at the end of a week. A piece that cannot be asked is false."""

    week: int
    wip: bool
    age: bool
    inflow: bool

    @property
    def is_bottleneck(self) -> bool:
        """Whether all three pieces are there."""
        return self.wip and self.age and self.inflow


class LittlesLaw(NamedTuple):
    """How far WIP and age drifted in 13 weeks; None where that cannot be said."""

    wip_drift: float | None
    age_drift: float | None

    @property
    def holds(self) -> bool:
        """Whether neither drifted."""
        return all(drift is not None and drift < _NO_DRIFT for drift in self)


@dataclass(frozen=True)
class BottleneckInterval:
    """From the end of week `opened` to the end of week `cleared`; None while it lasts. `peak`: the greatest WIP.

    All else is as of the opening. `next_starved`: whether the next open stage runs dry; None for the last one.
    """

    opened: int
    cleared: int | None
    peak: int
    label: BottleneckLabel
    next_starved: bool | None
    inflow: Inflow
    little: LittlesLaw


@dataclass(frozen=True)
class StageCharts:
    """The segments of a stage's charts of arrivals, departures, WIP and open age, and of WIP of the next open stage."""

    segments: Mapping[Column, Sequence[Segment]]
    next_wip: Sequence[Segment] | None

    def value(self, column: Column, week: int) -> Value | None:
        """The value of a week; None where it has none."""
        return self._values[column].get(week)

    def usual_wip(self, week: int) -> float:
        """The median WIP of the baseline that a week is judged by."""
        found = [one for one in self.segments[Column.WIP_END] if one.points and one.points[0].week <= week]
        return float(median(Fraction(point.value) for point in found[-1].baseline))

    def inflow(self, week: int) -> Inflow:
        """Of the 13 weeks that end with this one, as far as they are there."""
        arrivals, departures = (self._total(column, week) for column in (Column.ARRIVALS, Column.DEPARTURES))
        return Inflow(arrivals - departures, arrivals + departures)

    def little(self, week: int) -> LittlesLaw:
        """The drift from 13 weeks before to this one."""
        (wip_before, wip), (age_before, age) = (
            (self.value(column, week - _QUARTER), self.value(column, week))
            for column in (Column.WIP_END, Column.OPEN_AGE_MEAN)
        )
        return LittlesLaw(
            _drift(wip_before, wip, self._total(Column.ARRIVALS, week)),
            _drift(age_before, age, max(age_before or Fraction(0), age or Fraction(0))),
        )

    def _total(self, column: Column, week: int) -> int:
        return sum(int(self.value(column, w) or 0) for w in range(week - _QUARTER + 1, week + 1))

    @cached_property
    def _values(self) -> Mapping[Column, Mapping[int, Value]]:
        return {
            column: {point.week: point.value for segment in found for point in segment.points}
            for column, found in self.segments.items()
        }


class BottleneckCharts(NamedTuple):
    """Which charts a rule `bottleneck` judges: of its stage, by column, and of WIP of the next open stage."""

    own: Mapping[Column, Chart]
    next_wip: Chart | None

    @classmethod
    def of(cls, pipeline: str, stage: str, open_stages: Sequence[str]) -> BottleneckCharts:
        """Of a stage; `open_stages` of its pipeline, in order."""
        following = open_stages[open_stages.index(stage) + 1 :]
        return cls(
            {column: Chart(pipeline, stage, column) for column in _COLUMNS},
            Chart(pipeline, following[0], Column.WIP_END) if following else None,
        )

    @property
    def charts(self) -> list[Chart]:
        """All of them."""
        return [*self.own.values()] + ([] if self.next_wip is None else [self.next_wip])

    def judged(self, segments: ChartSegments) -> StageCharts:
        """Their segments."""
        return StageCharts(
            {column: segments.judged(chart) for column, chart in self.own.items()},
            None if self.next_wip is None else segments.judged(self.next_wip),
        )


def bottleneck_looks(charts: StageCharts) -> list[BottleneckLook]:
    """A look at the end of each week at which the window of WIP can be asked."""
    ages = {week: fires for week, fires in _fired(charts.segments[Column.OPEN_AGE_MEAN]) if fires}
    return [
        BottleneckLook(week, wip, week in ages, charts.inflow(week).exceeds)
        for week, wip in _fired(charts.segments[Column.WIP_END])
    ]


def bottleneck_intervals(charts: StageCharts) -> list[BottleneckInterval]:
    """The problem's intervals: from all three pieces until the first is missing."""
    looks = {look.week: look for look in bottleneck_looks(charts)}
    found: list[BottleneckInterval] = []
    for segment in charts.segments[Column.WIP_END]:
        for week, value in segment.points:
            look, is_open = looks.get(week), bool(found) and found[-1].cleared is None
            if is_open and (look is None or not look.wip):
                found[-1] = replace(found[-1], cleared=week)
            elif is_open:
                found[-1] = replace(found[-1], peak=max(found[-1].peak, int(value)))
            elif look and look.is_bottleneck:
                found.append(_opened(charts, week, int(value)))
    return found


def _opened(charts: StageCharts, week: int, wip: int) -> BottleneckInterval:
    starved = None if charts.next_wip is None else _fires_at(charts.next_wip, Side.LOW, week)
    return BottleneckInterval(week, None, wip, _label(charts, week), starved, charts.inflow(week), charts.little(week))


def _label(charts: StageCharts, week: int) -> BottleneckLabel:
    less_out = _fires_at(charts.segments[Column.DEPARTURES], Side.LOW, week)
    more_in = _fires_at(charts.segments[Column.ARRIVALS], Side.HIGH, week)
    if less_out == more_in:
        return BottleneckLabel.UNCLEAR
    return BottleneckLabel.CAPACITY if less_out else BottleneckLabel.DEMAND


def _fired(segments: Iterable[Segment]) -> list[tuple[int, bool]]:
    """The weeks at which the window of 8 can be asked, and whether it is high."""
    looks = (look for segment in segments for look in window_looks(segment, Side.HIGH, _LEVEL))
    return [(look.week, look.fires_8) for look in looks if look.twice_8 is not None]


def _fires_at(segments: Iterable[Segment], side: Side, week: int) -> bool:
    """Whether the window of 8 that ends with this week fires, at the level of labels."""
    for segment in segments:
        recent = [point for point in segment.after if point.week <= week][-LONG:]
        test = window_test(segment, side, _LABEL_LEVEL)
        if test and recent and recent[-1].week == week:
            return [look.fires_8 for look in test.looks(recent)][-1]
    return False


def _drift(before: Value | None, now: Value | None, size: Value) -> float | None:
    if before is None or now is None or size == 0:
        return None
    return float(abs(Fraction(now) - before) / size)
