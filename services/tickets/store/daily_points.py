"""SQL of daily points of measures, which charts draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.measures import MeasureData
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO measure (pipeline, stage, measure, end_at, value)
SELECT DISTINCT ON (p, s, m, e) p, s, m, e, v
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::float8[])
    WITH ORDINALITY AS w (p, s, m, e, v, n) ORDER BY p, s, m, e, n DESC
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET value = excluded.value
"""
# A row for each series: pages draw a hundred, and a row for each point would cost more than all else of them.
_POINTS = """
SELECT w.pipeline, w.stage, w.measure, m.ends, m.values
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
CROSS JOIN LATERAL (
    SELECT array_agg(end_at) AS ends, array_agg(value) AS values FROM (
        SELECT end_at, value FROM measure AS m
        WHERE (m.pipeline, m.stage, m.measure) = (w.pipeline, w.stage, w.measure)
            AND end_at > $4 AND end_at <= $5 AND value IS NOT NULL ORDER BY end_at
    ) AS ordered
) AS m WHERE m.ends IS NOT NULL
"""
# Small lines say only how it goes: an instant for each of their values would take most of the time of reading them.
_VALUES = """
SELECT w.pipeline, w.stage, w.measure, m.last, m.values
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
CROSS JOIN LATERAL (
    SELECT max(end_at) AS last, array_agg(value) AS values FROM (
        SELECT end_at, value FROM measure AS m
        WHERE (m.pipeline, m.stage, m.measure) = (w.pipeline, w.stage, w.measure)
            AND end_at > $4 AND end_at <= $5 AND value IS NOT NULL ORDER BY end_at
    ) AS ordered
) AS m WHERE m.last IS NOT NULL
"""
_NEWEST = """
SELECT w.pipeline, w.stage, w.measure, m.end_at, m.value
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
CROSS JOIN LATERAL (
    SELECT end_at, value FROM measure AS m
    WHERE (m.pipeline, m.stage, m.measure) = (w.pipeline, w.stage, w.measure) AND end_at <= $4 AND value IS NOT NULL
    ORDER BY end_at DESC LIMIT 1
) AS m
"""
# A measure of one stage: pipeline, stage, measure.
Series = tuple[str, str, str]
# The value at an instant.
Point = tuple[datetime, float]


@dataclass(frozen=True)
class DailyValues:
    """The values of a series by day, without their instants. `last`: that of the last one; None: there are none."""

    values: Sequence[float] = ()
    last: datetime | None = None


async def save(connection: Connection, points: Sequence[MeasureData]) -> None:
    if points:
        await connection.execute(
            _SAVE,
            [p.pipeline for p in points],
            [p.stage or "" for p in points],
            [p.measure.value for p in points],
            [p.end for p in points],
            [p.value for p in points],
        )


async def points(
    executor: Executor, wanted: Sequence[Series], since: datetime, until: datetime
) -> dict[Series, list[Point]]:
    """The daily points of each series in `(since, until]`, in order of time. Days without a value are left out."""
    found: dict[Series, list[Point]] = {series: [] for series in wanted}
    for row in await executor.fetch(_POINTS, *_columns(wanted), since, until):
        found[row["pipeline"], row["stage"], row["measure"]] = list(zip(row["ends"], row["values"], strict=True))
    return found


async def values(
    executor: Executor, wanted: Sequence[Series], since: datetime, until: datetime
) -> dict[Series, DailyValues]:
    """What `points` has, for small lines."""
    found = dict.fromkeys(wanted, DailyValues())
    for row in await executor.fetch(_VALUES, *_columns(wanted), since, until):
        found[row["pipeline"], row["stage"], row["measure"]] = DailyValues(row["values"], row["last"])
    return found


async def newest_points(executor: Executor, wanted: Sequence[Series], until: datetime) -> dict[Series, Point]:
    """The last daily point of each series that has one."""
    rows = await executor.fetch(_NEWEST, *_columns(wanted), until)
    return {(row["pipeline"], row["stage"], row["measure"]): (row["end_at"], row["value"]) for row in rows}


def _columns(wanted: Sequence[Series]) -> list[list[str]]:
    return [list(column) for column in zip(*wanted, strict=True)] if wanted else [[], [], []]
