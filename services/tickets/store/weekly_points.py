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

_LOG = """
SELECT numbering, start_at, week, (
    SELECT max(p.week) + 1 FROM weekly_point AS p WHERE (p.pipeline, p.numbering) = ($1, w.numbering)) AS over
FROM weekly_point AS w WHERE numbering = (SELECT max(numbering) FROM weekly_point) ORDER BY start_at LIMIT 1
"""
_LAST = """
SELECT stage, measure, exact FROM weekly_point
WHERE pipeline = $1 AND numbering = $2 AND week = $3 AND measure = ANY($4::text[]) AND exact IS NOT NULL
"""
_LOAD = """
SELECT stage, measure, week, exact FROM weekly_point
WHERE pipeline = $1 AND numbering = $2 AND week < $3
    AND (stage, measure) IN (SELECT * FROM unnest($4::text[], $5::text[]))
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
    """The weeks of the log; `numbering`: the one that counts, of those in which weeks were numbered anew.

    `over`: how many weeks of a pipeline are over; None before its first point.
    """

    weeks: Weeks
    numbering: int
    over: int | None


async def log_weeks(executor: Executor, zone: str, pipeline: str | None = None) -> LogWeeks | None:
    """None before the first point. Week 0 is the same for all pipelines."""
    first = await executor.fetchrow(_LOG, pipeline)
    if first is None:
        return None
    known = Weeks(micros(first["start_at"]), zone)
    return LogWeeks(Weeks(known.start(-first["week"]), zone), first["numbering"], first["over"])


async def load(executor: Executor, pipeline: str, charts: Collection[Chart], zone: str) -> ChartWeeks | None:
    """Charts of a pipeline; None before its first point."""
    log = await log_weeks(executor, zone, pipeline)
    if log is None or log.over is None:
        return None
    found: dict[Chart, list[Value | None]] = {chart: [None] * log.over for chart in charts}
    wanted = [chart.stage for chart in charts], [chart.column.value for chart in charts]
    for row in await executor.fetch(_LOAD, pipeline, log.numbering, log.over, *wanted):
        column = Column(row["measure"])
        found[Chart(pipeline, row["stage"], column)][row["week"]] = exact_value(column, row["exact"])
    return ChartWeeks(log.weeks, log.over, found)


async def last_week(executor: Executor, pipeline: str, columns: Collection[Column], zone: str) -> LastWeek | None:
    """What a pipeline and its stages measured in the newest week; None before its first point."""
    log = await log_weeks(executor, zone, pipeline)
    if log is None or log.over is None:
        return None
    rows = await executor.fetch(_LAST, pipeline, log.numbering, log.over - 1, [one.value for one in columns])
    values = dict[Chart, Value]()
    for row in rows:
        column = Column(row["measure"])
        value = exact_value(column, row["exact"])
        if value is not None:
            values[Chart(pipeline, row["stage"], column)] = value
    return LastWeek(log.weeks.name(log.over - 1), values)


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
