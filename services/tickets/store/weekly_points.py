"""SQL of weekly points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import micros

_NUMBERING = "SELECT max(numbering) FROM weekly_point"
_FIRST = "SELECT start_at, week FROM weekly_point WHERE numbering = $1 ORDER BY start_at LIMIT 1"
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


class LogWeeks(NamedTuple):
    """The weeks of the log; `numbering`: the one that counts, of those in which weeks were numbered anew."""

    weeks: Weeks
    numbering: int


async def log_weeks(executor: Executor, zone: str) -> LogWeeks | None:
    """None before the first point. Week 0 is the same for all pipelines."""
    numbering = await executor.fetchval(_NUMBERING)
    if numbering is None:
        return None
    first = await executor.fetchrow(_FIRST, numbering)
    assert first is not None  # noqa: S101 (a point has this numbering)
    known = Weeks(micros(first["start_at"]), zone)
    return LogWeeks(Weeks(known.start(-first["week"]), zone), numbering)


async def load(executor: Executor, pipeline: str, charts: Collection[Chart], zone: str) -> ChartWeeks | None:
    """Charts of a pipeline; None before its first point."""
    log = await log_weeks(executor, zone)
    over = None if log is None else await executor.fetchval(_OVER, pipeline, log.numbering)
    if log is None or over is None:
        return None
    found: dict[Chart, list[Value | None]] = {chart: [None] * over for chart in charts}
    wanted = [chart.stage for chart in charts], [chart.column.value for chart in charts]
    for row in await executor.fetch(_LOAD, pipeline, log.numbering, *wanted):
        column = Column(row["measure"])
        found[Chart(pipeline, row["stage"], column)][row["week"]] = exact_value(column, row["exact"])
    return ChartWeeks(log.weeks, over, found)
