"""Stores the weekly points of measures, for services that read `flow.measures`, with the table `weekly_point`."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.measures import MeasureData
from shared.postgres.pool import Connection, Record

_SAVE = """
INSERT INTO weekly_point AS p (pipeline, stage, measure, start_at, end_at, exact, week, numbering)
SELECT DISTINCT ON (pl, s, m, b) pl, s, m, b, e, x, w, n
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::int[], $8::int[])
    WITH ORDINALITY AS t (pl, s, m, b, e, x, w, n, o) ORDER BY pl, s, m, b, n DESC, o DESC
ON CONFLICT (pipeline, stage, measure, start_at) DO UPDATE SET exact = excluded.exact, end_at = excluded.end_at,
    week = excluded.week, numbering = excluded.numbering
WHERE (p.exact, p.week, p.numbering, p.end_at)
    IS DISTINCT FROM (excluded.exact, excluded.week, excluded.numbering, excluded.end_at)
    AND p.numbering <= excluded.numbering
RETURNING pipeline, stage, measure
"""


async def save(connection: Connection, points: Sequence[MeasureData]) -> list[Record]:
    """Insert or update weekly points. Returns pipeline, stage (empty: of the pipeline) and measure of what is new."""
    if not points:
        return []
    return await connection.fetch(
        _SAVE,
        [p.pipeline for p in points],
        [p.stage or "" for p in points],
        [p.measure.value for p in points],
        [p.start for p in points],
        [p.end for p in points],
        [p.exact for p in points],
        [p.week for p in points],
        [p.numbering for p in points],
    )
