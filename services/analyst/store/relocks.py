"""SQL of relocks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from shared.contracts.relocks import RelockData
from shared.flow.statistics.relocks import Relock
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
_MARK = "INSERT INTO stale_relock SELECT * FROM unnest($1::text[])"
_LOAD = """
SELECT chart, from_week, points, reason, actor FROM relock WHERE chart = ANY($1::text[]) ORDER BY chart, from_week
"""


class StoredRelock(NamedTuple):
    """A relock, and whether a person or the system decided it."""

    relock: Relock
    actor: str


async def save(connection: Connection, relocks: Sequence[RelockData]) -> None:
    """Insert or replace relocks, and mark them; of the same chart and week the latest stays."""
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
        await connection.execute(_MARK, sorted({r.chart for r in relocks}))


async def load(executor: Executor, names: Collection[str]) -> list[StoredRelock]:
    """The relocks of these charts."""
    return [
        StoredRelock(Relock(row["chart"], row["from_week"] or None, row["points"], row["reason"]), row["actor"])
        for row in await executor.fetch(_LOAD, list(names))
    ]
