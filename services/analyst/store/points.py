"""SQL of the weekly points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contracts.measures import Column, MeasureData
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Connection, Executor
from shared.runtime.instants import micros

_SAVE = """
INSERT INTO point AS p (pipeline, stage, measure, start_at, end_at, exact)
SELECT DISTINCT ON (pl, s, m, b) pl, s, m, b, e, x
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[])
    WITH ORDINALITY AS w (pl, s, m, b, e, x, n) ORDER BY pl, s, m, b, n DESC
ON CONFLICT (pipeline, stage, measure, start_at) DO UPDATE SET exact = excluded.exact, end_at = excluded.end_at
WHERE p.exact IS DISTINCT FROM excluded.exact
RETURNING pipeline
"""
_FIRST = "SELECT min(start_at) FROM point"
_LOAD = "SELECT stage, measure, start_at, exact FROM point WHERE pipeline = $1"
_REACHED = "SELECT max(end_at) FROM point WHERE pipeline = $1"


class PipelinePoints(NamedTuple):
    """The charts of one pipeline: values by week, from week 0 to the one before `over`, the first that is not over."""

    weeks: Weeks
    over: int
    charts: Mapping[Chart, list[Value | None]]


async def save(connection: Connection, points: Sequence[MeasureData]) -> set[str]:
    """Insert or update weekly points. Returns the pipelines in which something is new."""
    if not points:
        return set()
    rows = await connection.fetch(
        _SAVE,
        [p.pipeline for p in points],
        [p.stage or "" for p in points],
        [p.measure.value for p in points],
        [p.start for p in points],
        [p.end for p in points],
        [p.exact for p in points],
    )
    return {row["pipeline"] for row in rows}


async def load(executor: Executor, pipeline: str, zone: str) -> PipelinePoints | None:
    """The charts of a pipeline; None before the first point. Week 0 is the first one of all pipelines."""
    first: datetime | None = await executor.fetchval(_FIRST)
    until: datetime | None = await executor.fetchval(_REACHED, pipeline)
    if first is None or until is None:
        return None
    weeks = Weeks(micros(first), zone)
    count = weeks.over(micros(until))
    charts: dict[Chart, list[Value | None]] = {}
    for row in await executor.fetch(_LOAD, pipeline):
        chart = Chart(pipeline, row["stage"], Column(row["measure"]))
        values = charts.setdefault(chart, [None] * count)
        values[weeks.of(micros(row["start_at"]))] = exact_value(chart.column, row["exact"])
    return PipelinePoints(weeks, count, charts)
