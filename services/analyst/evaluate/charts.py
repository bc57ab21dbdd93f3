"""Loads charts with their segments, and defines what a rule on charts is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.analyst.evaluate.findings import AnalystRule, RuleFinding
from services.analyst.store import points
from services.analyst.store.points import Extent
from shared.contracts.relocks import RelockData
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Value
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import micros
from shared.stream import relocks


@dataclass(frozen=True)
class ChartSet:
    """Charts of one pipeline, all of whose weeks are known."""

    weeks: Weeks
    segments: ChartSegments
    relocks: Sequence[RelockData]


class ChartRule(AnalystRule, ABC):
    """A rule on charts of one pipeline. `charts`: those that it judges, each to the same week."""

    charts: Collection[Chart]

    @abstractmethod
    def find(self, known: ChartSet) -> RuleFinding:
        """Find its intervals over all weeks that are over; `known` has all of its charts."""


async def load(executor: Executor, extents: Mapping[Chart, Extent], zone: str) -> dict[str, ChartSet]:
    """The charts of these extents, by pipeline."""
    if not extents:
        return {}
    values = await points.load(executor, extents)
    known = await relocks.load(executor, [chart.name for chart in extents])
    by_pipeline: dict[str, dict[Chart, Extent]] = {}
    for chart, extent in extents.items():
        by_pipeline.setdefault(chart.pipeline, {})[chart] = extent
    return {name: _chart_set(own, values, known, zone) for name, own in by_pipeline.items()}


def _chart_set(
    extents: Mapping[Chart, Extent],
    values: Mapping[Chart, list[Value | None]],
    known: Sequence[RelockData],
    zone: str,
) -> ChartSet:
    """Of one pipeline; `values` and `known` may be of more charts."""
    weeks, names = Weeks(micros(next(iter(extents.values())).first), zone), {chart.name for chart in extents}
    own = [data for data in known if data.chart in names]
    segments = ChartSegments(WeeklyMeasures(weeks, values), weeks, [Relock.of(data) for data in own])
    return ChartSet(weeks, segments, own)
