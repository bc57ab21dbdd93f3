"""SQL of weekly points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from shared.contracts.measures import Column, MeasureData
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Connection, Executor
from shared.runtime.instants import micros

_SAVE = """
INSERT INTO weekly_point (pipeline, stage, measure, end_at, exact)
SELECT DISTINCT ON (p, s, m, e) p, s, m, e, x
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
    WITH ORDINALITY AS w (p, s, m, e, x, n) ORDER BY p, s, m, e, n DESC
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET exact = excluded.exact
"""
_FIRST = "SELECT min(end_at) FROM weekly_point"
_REACHED = "SELECT max(end_at) FROM weekly_point WHERE pipeline = $1"
_LOAD = """
SELECT stage, measure, end_at, exact FROM weekly_point
WHERE pipeline = $1 AND (stage, measure) IN (SELECT * FROM unnest($2::text[], $3::text[]))
"""


class ChartWeeks(NamedTuple):
    """Charts of one pipeline: values by week, from week 0 to the one before `over`, the first that is not over."""

    weeks: Weeks
    over: int
    charts: Mapping[Chart, Sequence[Value | None]]


async def save(connection: Connection, points: Sequence[MeasureData]) -> None:
    """Insert or update weekly points."""
    if points:
        await connection.execute(
            _SAVE,
            [p.pipeline for p in points],
            [p.stage or "" for p in points],
            [p.measure.value for p in points],
            [p.end for p in points],
            [p.exact for p in points],
        )


async def load(executor: Executor, pipeline: str, charts: Collection[Chart], zone: str) -> ChartWeeks | None:
    """Charts of a pipeline; None before its first point. Week 0 is the first one of all pipelines."""
    first, reached = await executor.fetchval(_FIRST), await executor.fetchval(_REACHED, pipeline)
    if first is None or reached is None:
        return None
    weeks = Weeks(micros(first) - 1, zone)
    over = weeks.over(micros(reached))
    found: dict[Chart, list[Value | None]] = {chart: [None] * over for chart in charts}
    wanted = [chart.stage for chart in charts], [chart.column.value for chart in charts]
    for row in await executor.fetch(_LOAD, pipeline, *wanted):
        column = Column(row["measure"])
        week = weeks.of(micros(row["end_at"]) - 1)
        found[Chart(pipeline, row["stage"], column)][week] = exact_value(column, row["exact"])
    return ChartWeeks(weeks, over, found)
