"""SQL of the values that weekly points had before late events changed them, and of the weeks that a study looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.tickets.store import weekly_points
from services.tickets.study.known_weeks import RevisedChart
from shared.contracts.measures import Column, MeasureData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros

# Without `known_at`, a value counts as known when the newest week that has come was over, or later.
_SAVE = """
WITH came AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[],
        $7::timestamptz[]) WITH ORDINALITY AS w (pipeline, stage, measure, start_at, exact, end_at, known_at, n)
), newest AS (
    SELECT pipeline, max(end_at) AS end_at FROM (
        SELECT pipeline, end_at FROM weekly_point WHERE pipeline IN (SELECT pipeline FROM came WHERE known_at IS NULL)
        UNION ALL SELECT pipeline, end_at FROM came WHERE known_at IS NULL
    ) AS ends GROUP BY pipeline
), stated AS (
    SELECT p.pipeline, p.stage, p.measure, p.start_at, p.exact, NULL::timestamptz AS known_at, 0::bigint AS n
    FROM weekly_point AS p
    JOIN (SELECT DISTINCT pipeline, stage, measure, start_at FROM came) AS w USING (pipeline, stage, measure, start_at)
    UNION ALL
    SELECT pipeline, stage, measure, start_at, exact,
        coalesce(came.known_at, greatest(newest.end_at, (SELECT at FROM judged))), n
    FROM came LEFT JOIN newest USING (pipeline)
), steps AS (
    SELECT *, lag(exact) OVER values AS was, row_number() OVER values AS number FROM stated
    WINDOW values AS (PARTITION BY pipeline, stage, measure, start_at ORDER BY n)
)
INSERT INTO weekly_point_was (pipeline, stage, measure, start_at, until, exact)
SELECT pipeline, stage, measure, start_at, known_at, was FROM steps
WHERE number > 1 AND exact IS DISTINCT FROM was
ON CONFLICT DO NOTHING
"""
_LOAD = """
SELECT p.stage, p.measure, p.start_at, p.week, p.exact FROM weekly_point AS p
WHERE p.pipeline = $1 AND p.numbering = $2 AND (p.stage, p.measure) IN (SELECT * FROM unnest($3::text[], $4::text[]))
ORDER BY p.week
"""
_WAS = """
SELECT stage, measure, start_at, until, exact FROM weekly_point_was
WHERE pipeline = $1 AND (stage, measure) IN (SELECT * FROM unnest($2::text[], $3::text[])) ORDER BY until
"""
_OUTDATED = """
SELECT DISTINCT stage, measure FROM weekly_point
WHERE pipeline = $1 AND numbering < $2 AND (stage, measure) IN (SELECT * FROM unnest($3::text[], $4::text[]))
"""


async def save_replaced(connection: Connection, points: Sequence[MeasureData]) -> None:
    """Keep the values that these weekly points are about to replace. Call it before they are saved."""
    if points:
        await connection.execute(
            _SAVE,
            [p.pipeline for p in points],
            [p.stage or "" for p in points],
            [p.measure.value for p in points],
            [p.start for p in points],
            [p.exact for p in points],
            [p.end for p in points],
            [p.known_at for p in points],
        )


class LogCharts(NamedTuple):
    """The weeks of the log, and charts with all that was known of them when."""

    weeks: Weeks
    charts: Mapping[Chart, RevisedChart]


async def load(executor: Executor, charts: Collection[Chart], zone: str) -> LogCharts | None:
    """None before the first point of the log."""
    log = await weekly_points.log_weeks(executor, zone)
    if log is None:
        return None
    found: dict[Chart, RevisedChart] = {}
    for pipeline in {chart.pipeline for chart in charts}:
        wanted = [chart for chart in charts if chart.pipeline == pipeline]
        found |= await _load(executor, pipeline, wanted, log.numbering)
    return LogCharts(log.weeks, found)


async def _load(
    executor: Executor, pipeline: str, charts: Sequence[Chart], numbering: int
) -> Mapping[Chart, RevisedChart]:
    wanted = [chart.stage for chart in charts], [chart.column.value for chart in charts]
    points: dict[Chart, dict[int, Fraction | None]] = {chart: {} for chart in charts}
    was: dict[Chart, dict[int, list[tuple[int, Fraction | None]]]] = {chart: {} for chart in charts}
    starts: dict[datetime, int] = {}
    for row in await executor.fetch(_LOAD, pipeline, numbering, *wanted):
        points[_chart_of(pipeline, row)][row["week"]] = _exact(row["exact"])
        starts[row["start_at"]] = row["week"]
    for row in await executor.fetch(_WAS, pipeline, *wanted):
        if (week := starts.get(row["start_at"])) is not None:
            revision = micros(row["until"]), _exact(row["exact"])
            was[_chart_of(pipeline, row)].setdefault(week, []).append(revision)
    outdated = {_chart_of(pipeline, row) for row in await executor.fetch(_OUTDATED, pipeline, numbering, *wanted)}
    return {
        chart: RevisedChart.of(chart.column, points[chart], was[chart], is_renumbered=chart in outdated)
        for chart in charts
    }


def _chart_of(pipeline: str, row: Record) -> Chart:
    return Chart(pipeline, row["stage"], Column(row["measure"]))


def _exact(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
