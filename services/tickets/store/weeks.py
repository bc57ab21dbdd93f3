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
INSERT INTO weekly_point AS p (pipeline, stage, measure, end_at, exact, week, numbering)
SELECT DISTINCT ON (pl, s, m, e) pl, s, m, e, x, w, n
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::int[], $7::int[])
    WITH ORDINALITY AS t (pl, s, m, e, x, w, n, o) ORDER BY pl, s, m, e, n DESC, o DESC
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET exact = excluded.exact, week = excluded.week,
    numbering = excluded.numbering
WHERE p.numbering <= excluded.numbering
"""
_NUMBERING = "SELECT max(numbering) FROM weekly_point"
_FIRST = "SELECT end_at, week FROM weekly_point WHERE numbering = $1 ORDER BY end_at LIMIT 1"
_OVER = "SELECT max(week) + 1 FROM weekly_point WHERE pipeline = $1 AND numbering = $2"
_LOAD = """
SELECT stage, measure, week, exact FROM weekly_point
WHERE pipeline = $1 AND numbering = $2 AND (stage, measure) IN (SELECT * FROM unnest($3::text[], $4::text[]))
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
            [p.week or 0 for p in points],
            [p.numbering or 0 for p in points],
        )


async def load(executor: Executor, pipeline: str, charts: Collection[Chart], zone: str) -> ChartWeeks | None:
    """Charts of a pipeline; None before its first point. Week 0 is the same for all pipelines."""
    numbering = await executor.fetchval(_NUMBERING)
    over = await executor.fetchval(_OVER, pipeline, numbering)
    if over is None:
        return None
    first = await executor.fetchrow(_FIRST, numbering)
    assert first is not None  # noqa: S101 (the pipeline has a point)
    known = Weeks(micros(first["end_at"]) - 1, zone)
    weeks = Weeks(known.start(-first["week"]), zone)
    found: dict[Chart, list[Value | None]] = {chart: [None] * over for chart in charts}
    wanted = [chart.stage for chart in charts], [chart.column.value for chart in charts]
    for row in await executor.fetch(_LOAD, pipeline, numbering, *wanted):
        column = Column(row["measure"])
        found[Chart(pipeline, row["stage"], column)][row["week"]] = exact_value(column, row["exact"])
    return ChartWeeks(weeks, over, found)
