"""SQL of relocks: from which week on a chart has a new baseline."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.relocks import RelockData
from shared.flow.statistics.relocks import Relock
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO relock AS r (chart, from_week, points, reason, at)
SELECT DISTINCT ON (c, f) c, f, p, w, t
FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::timestamptz[])
    WITH ORDINALITY AS x (c, f, p, w, t, n) ORDER BY c, f, t DESC, n DESC
ON CONFLICT (chart, from_week) DO UPDATE SET points = excluded.points, reason = excluded.reason, at = excluded.at
WHERE r.at <= excluded.at
"""
_LOAD = "SELECT chart, from_week, points, reason FROM relock ORDER BY chart, from_week"


async def save(connection: Connection, relocks: Sequence[RelockData]) -> None:
    """Insert or replace relocks; of the same chart and week the latest stays."""
    await connection.execute(
        _SAVE,
        [one.chart for one in relocks],
        [one.from_week or "" for one in relocks],
        [one.points for one in relocks],
        [one.reason for one in relocks],
        [one.at for one in relocks],
    )


async def load(executor: Executor) -> list[Relock]:
    """All relocks."""
    rows = await executor.fetch(_LOAD)
    return [Relock(row["chart"], row["from_week"] or None, row["points"], row["reason"]) for row in rows]
