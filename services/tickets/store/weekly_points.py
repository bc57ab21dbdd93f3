"""SQL of weekly points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart, Value, exact_value
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Executor
from shared.runtime.instants import micros

_NUMBERING = "SELECT max(numbering) FROM weekly_point"
_FIRST = "SELECT start_at, week FROM weekly_point WHERE numbering = $1 ORDER BY start_at LIMIT 1"
_OVER = "SELECT max(week) + 1 FROM weekly_point WHERE pipeline = $1 AND numbering = $2"
_LAST = """
SELECT stage, measure, exact FROM weekly_point
WHERE pipeline = $1 AND numbering = $2 AND week = $3 AND measure = ANY($4::text[]) AND exact IS NOT NULL
"""
_LOAD = """
SELECT stage, measure, week, exact FROM weekly_point
WHERE pipeline = $1 AND numbering = $2 AND (stage, measure) IN (SELECT * FROM unnest($3::text[], $4::text[]))
"""


_RECENT = """
SELECT pipeline, stage, measure, p.start_at, p.exact FROM weekly_point AS p
JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
    USING (pipeline, stage, measure)
WHERE p.start_at > $4 AND p.numbering = (SELECT max(numbering) FROM weekly_point) AND p.exact IS NOT NULL
ORDER BY p.start_at
"""


class ChartWeeks(NamedTuple):
    """Charts of one pipeline: values by week, from week 0 to the one before `over`, the first that is not over."""

    weeks: Weeks
    over: int
    charts: Mapping[Chart, Sequence[Value | None]]


class LastWeek(NamedTuple):
    """The newest week that is over, by its ISO name. A chart without a value in it is left out."""

    name: str
    values: Mapping[Chart, Value]


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


async def last_week(executor: Executor, pipeline: str, columns: Collection[Column], zone: str) -> LastWeek | None:
    """What a pipeline and its stages measured in the newest week; None before its first point."""
    log = await log_weeks(executor, zone)
    over = None if log is None else await executor.fetchval(_OVER, pipeline, log.numbering)
    if log is None or over is None:
        return None
    rows = await executor.fetch(_LAST, pipeline, log.numbering, over - 1, [one.value for one in columns])
    values = dict[Chart, Value]()
    for row in rows:
        column = Column(row["measure"])
        value = exact_value(column, row["exact"])
        if value is not None:
            values[Chart(pipeline, row["stage"], column)] = value
    return LastWeek(log.weeks.name(over - 1), values)


async def recent(
    executor: Executor, charts: Collection[Chart], since: datetime
) -> dict[Chart, list[tuple[datetime, float]]]:
    """The weeks of charts that began after an instant, by their starts, for small drawings; weeks without a value are
    left out.
    """
    found: dict[Chart, list[tuple[datetime, float]]] = {chart: [] for chart in charts}
    columns = zip(*((one.pipeline, one.stage, one.column.value) for one in found), strict=True)
    rows = await executor.fetch(_RECENT, *map(list, columns), since) if found else []
    for row in rows:
        column = Column(row["measure"])
        value = exact_value(column, row["exact"])
        if value is not None:
            found[Chart(row["pipeline"], row["stage"], column)].append((row["start_at"], float(value)))
    return found
