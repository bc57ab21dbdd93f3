"""SQL of how far each pipeline is evaluated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.postgres.pool import Connection, Executor

_MARK = """
INSERT INTO pipeline_state AS s (pipeline, changed) SELECT name, 1 FROM unnest($1::text[]) AS name ORDER BY name
ON CONFLICT (pipeline) DO UPDATE SET changed = s.changed + 1
"""
_ADVANCE = """
INSERT INTO pipeline_state AS s (pipeline, reached) SELECT * FROM unnest($1::text[], $2::timestamptz[])
ON CONFLICT (pipeline) DO UPDATE SET reached = greatest(s.reached, excluded.reached)
"""
_STALE = "SELECT pipeline, reached, changed FROM pipeline_state WHERE changed > evaluated ORDER BY pipeline"
_EVALUATED = "UPDATE pipeline_state SET evaluated = $2, reached = greatest(reached, $3) WHERE pipeline = $1"
_POLICY = """
WITH new AS (UPDATE analysis_state SET policy = $1 WHERE policy <> $1 RETURNING policy)
UPDATE pipeline_state SET changed = changed + 1 WHERE EXISTS (SELECT FROM new)
"""


class StalePipeline(NamedTuple):
    """A pipeline to evaluate. `reached`: the end of the last week that was evaluated before."""

    name: str
    reached: datetime | None
    changed: int


async def mark(connection: Connection, names: Collection[str]) -> None:
    """Note that points of pipelines changed."""
    if names:
        await connection.execute(_MARK, sorted(names))


async def follow_policy(connection: Connection, digest: str) -> None:
    """Where the policy is another one, every pipeline must be evaluated again."""
    await connection.execute(_POLICY, digest)


async def advance(connection: Connection, reached: Mapping[str, datetime]) -> None:
    """Judgement time had passed these instants before the points came: they were found by going back."""
    if reached:
        names = sorted(reached)
        await connection.execute(_ADVANCE, names, [reached[name] for name in names])


async def stale(executor: Executor) -> list[StalePipeline]:
    """The pipelines with changes that are not evaluated."""
    return [StalePipeline(*row) for row in await executor.fetch(_STALE)]


async def evaluated(connection: Connection, pipeline: StalePipeline, reached: datetime) -> None:
    """The changes up to those that `pipeline` counts are evaluated, to the end of a week."""
    await connection.execute(_EVALUATED, pipeline.name, pipeline.changed, reached)
