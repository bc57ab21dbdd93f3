"""SQL of relocks, for services that read `flow.relocks`, with the table `relock`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.contracts.relocks import RelockData
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO relock AS r (chart, from_week, points, reason, actor, at)
SELECT DISTINCT ON (c, f) c, f, p, r, a, t
FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[])
    WITH ORDINALITY AS w (c, f, p, r, a, t, n) ORDER BY c, f, t DESC, n DESC
ON CONFLICT (chart, from_week) DO UPDATE SET points = excluded.points, reason = excluded.reason,
    actor = excluded.actor, at = excluded.at
WHERE r.at <= excluded.at
"""
_LOAD = """
SELECT chart, from_week, points, reason, actor, at FROM relock WHERE $1::text[] IS NULL OR chart = ANY($1)
ORDER BY chart, from_week
"""


async def save(connection: Connection, relocks: Sequence[RelockData]) -> None:
    """Insert or replace relocks; of the same chart and week the latest stays."""
    if relocks:
        await connection.execute(
            _SAVE,
            [r.chart for r in relocks],
            [r.from_week or "" for r in relocks],
            [r.points for r in relocks],
            [r.reason for r in relocks],
            [r.actor for r in relocks],
            [r.at for r in relocks],
        )


async def load(executor: Executor, charts: Collection[str] | None = None) -> list[RelockData]:
    """The relocks of some charts, by name, or all; of a chart the one of the first baseline first, then by week."""
    rows = await executor.fetch(_LOAD, None if charts is None else list(charts))
    return [RelockData(**dict(row) | {"from_week": row["from_week"] or None}) for row in rows]
