"""Loads charts with their segments, and defines what a rule on charts is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.analyst.store import points
from services.analyst.store.points import Extent
from shared.contracts.problems import BottleneckDetail, CauseClass, Mode, SignalDetail
from shared.contracts.relocks import RelockData
from shared.flow.intervals import Interval
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import micros
from shared.stream import relocks


class OpeningDetail(NamedTuple):
    """What the weeks showed when an interval opened."""

    cause: CauseClass
    threshold: int = 0
    signal: SignalDetail | None = None
    bottleneck: BottleneckDetail | None = None


@dataclass(frozen=True)
class ChartSet:
    """Charts of one pipeline, all of whose weeks are known. `until`: the end of the last week of each."""

    weeks: Weeks
    segments: ChartSegments
    relocks: Sequence[RelockData]
    until: Mapping[Chart, datetime]

    @property
    def charts(self) -> Collection[Chart]:
        return self.until.keys()


class ChartRule(ABC):
    """A rule on charts of one pipeline. `charts`: those that it judges, each to the same week.

    `stage`: empty for a rule on the whole pipeline. `per_quarter`: the most openings in 91 days that chance alone
    brings. `cause`: the cause class, unless an opening has its own.
    """

    key: str
    kind: str
    version: int = 1
    pipeline: str
    stage: str
    mode: Mode
    charts: Collection[Chart]
    per_quarter: Fraction
    cause: CauseClass

    @abstractmethod
    def find(self, known: ChartSet) -> ChartFinding:
        """Find its intervals over all weeks that are over; `known` has all of its charts."""


class ChartFinding(NamedTuple):
    """The intervals of a rule, and by opening what its weeks showed then."""

    rule: ChartRule
    intervals: Sequence[Interval]
    details: Mapping[int, OpeningDetail]


async def load(executor: Executor, extents: Mapping[Chart, Extent], numbering: int, zone: str) -> ChartSet | None:
    """The charts of these extents; None where there are none."""
    if not extents:
        return None
    values = await points.load(executor, extents, numbering)
    weeks = Weeks(micros(next(iter(extents.values())).first), zone)
    known = await relocks.load(executor, [chart.name for chart in extents])
    segments = ChartSegments(WeeklyMeasures(weeks, values), weeks, [Relock.of(data) for data in known])
    return ChartSet(weeks, segments, known, {chart: extent.until for chart, extent in extents.items()})
