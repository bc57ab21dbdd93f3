"""SQL of the state of pipelines, as messages carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.postgres.pool import Connection, Executor, Record

_SAVE = """
INSERT INTO pipeline_state AS s (pipeline, numbering, over, reached, since)
SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[], $5::timestamptz[])
ON CONFLICT (pipeline) DO UPDATE SET numbering = greatest(s.numbering, excluded.numbering),
    over = CASE WHEN excluded.numbering > s.numbering THEN excluded.over
        WHEN excluded.numbering < s.numbering THEN s.over ELSE greatest(s.over, excluded.over) END,
    reached = greatest(s.reached, excluded.reached), since = least(s.since, excluded.since)
"""
_KNOWN = "SELECT pipeline, numbering, over, reached, since FROM pipeline_state ORDER BY pipeline"
_LOAD = f"{_KNOWN} FOR UPDATE"
_CLEAR_SINCE = "UPDATE pipeline_state SET since = NULL WHERE pipeline = $1"


class PipelineState(NamedTuple):
    """What messages say of a pipeline; see the table."""

    numbering: int
    over: int
    reached: datetime | None = None
    since: datetime | None = None


async def save(connection: Connection, states: Mapping[str, PipelineState]) -> None:
    """Merge what messages say, in whatever order they come."""
    if states:
        names = sorted(states)
        columns = zip(*(states[name] for name in names), strict=True)
        await connection.execute(_SAVE, names, *map(list, columns))


async def load(connection: Connection) -> dict[str, PipelineState]:
    """The state of each pipeline. No message is saved until the end of the transaction."""
    return _states(await connection.fetch(_LOAD))


async def known(executor: Executor) -> dict[str, PipelineState]:
    """As `load`, without a lock."""
    return _states(await executor.fetch(_KNOWN))


def _states(rows: Iterable[Record]) -> dict[str, PipelineState]:
    return {row["pipeline"]: PipelineState(*list(row.values())[1:]) for row in rows}


async def clear_since(connection: Executor, pipeline: str) -> None:
    """All charts are reevaluated since that instant."""
    await connection.execute(_CLEAR_SINCE, pipeline)
