"""Loads charts with their segments, and defines what a rule on charts is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.analyst.evaluate.findings import AnalystRule, RuleFinding
from services.analyst.store import points
from services.analyst.store.points import Extent
from shared.contracts.relocks import RelockData
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import micros
from shared.stream import relocks


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


class ChartRule(AnalystRule, ABC):
    """A rule on charts of one pipeline. `charts`: those that it judges, each to the same week."""

    charts: Collection[Chart]

    @abstractmethod
    def find(self, known: ChartSet) -> RuleFinding:
        """Find its intervals over all weeks that are over; `known` has all of its charts."""


async def load(executor: Executor, extents: Mapping[Chart, Extent], numbering: int, zone: str) -> ChartSet | None:
    """The charts of these extents; None where there are none."""
    if not extents:
        return None
    values = await points.load(executor, extents, numbering)
    weeks = Weeks(micros(next(iter(extents.values())).first), zone)
    known = await relocks.load(executor, [chart.name for chart in extents])
    segments = ChartSegments(WeeklyMeasures(weeks, values), weeks, [Relock.of(data) for data in known])
    return ChartSet(weeks, segments, known, {chart: extent.until for chart, extent in extents.items()})
