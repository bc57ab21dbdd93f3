"""SQL of the weekly points."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from services.analyst.store.charts import chart_of, columns_of
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.postgres.pool import Executor

_FIRST = "SELECT min(start_at) FROM weekly_point"
_EXTENTS = """
SELECT pipeline, stage, measure, count(*) AS weeks, max(week) AS last, min(start_at) AS first, max(end_at) AS until
FROM weekly_point JOIN unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)
    USING (pipeline, stage, measure)
WHERE numbering = $4 GROUP BY pipeline, stage, measure
"""
_LOAD = """
SELECT pipeline, stage, measure, array_agg(exact ORDER BY week) AS exact FROM weekly_point
JOIN unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure) USING (pipeline, stage, measure)
WHERE numbering = $4 GROUP BY pipeline, stage, measure
"""


class Extent(NamedTuple):
    """The weeks of a chart: from `first`, the start of week 0, to `until`, without a gap."""

    weeks: int
    first: datetime
    until: datetime


async def extents(executor: Executor, charts: Collection[Chart], numbering: int) -> dict[Chart, Extent]:
    """Of the charts those whose weeks are known from week 0 on without a gap."""
    rows = await executor.fetch(_EXTENTS, *columns_of(charts), numbering)
    return {
        chart_of(row): Extent(row["weeks"], row["first"], row["until"])
        for row in rows
        if row["last"] == row["weeks"] - 1
    }


async def load(executor: Executor, charts: Collection[Chart], numbering: int) -> Mapping[Chart, list[Value | None]]:
    """The values of charts by week, exact."""
    found: dict[Chart, list[Value | None]] = {}
    for row in await executor.fetch(_LOAD, *columns_of(charts), numbering):
        chart = chart_of(row)
        found[chart] = [exact_value(chart.column, text) for text in row["exact"]]
    return found


async def first_start(executor: Executor) -> datetime | None:
    """The start of week 0; None before the first point."""
    found: datetime | None = await executor.fetchval(_FIRST)
    return found
