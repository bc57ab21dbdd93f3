"""SQL of the stages' status: what CRMs call them, and which of them the policy lacks."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.stages import StageStatusData
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Connection, Executor, Record

_SAVE = """
INSERT INTO stage (pipeline, stage, name, is_watched, deals, hint)
SELECT DISTINCT ON (p, s) p, s, name, is_watched, deals, hint
FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::int[], $6::text[])
    WITH ORDINALITY AS w (p, s, name, is_watched, deals, hint, n) ORDER BY p, s, n DESC
ON CONFLICT (pipeline, stage) DO UPDATE SET name = excluded.name, is_watched = excluded.is_watched,
    deals = excluded.deals, hint = excluded.hint
"""
_NAMES = "SELECT pipeline, stage, name FROM stage WHERE name IS NOT NULL"
_UNWATCHED = """
SELECT pipeline, stage, name, deals, hint FROM stage WHERE NOT is_watched AND deals > 0
ORDER BY deals DESC, pipeline, stage
"""


async def save(connection: Connection, stages: Sequence[StageStatusData]) -> None:
    """Keep the newest status of each stage."""
    if stages:
        await connection.execute(
            _SAVE,
            [s.pipeline for s in stages],
            [s.stage for s in stages],
            [s.name for s in stages],
            [s.watched for s in stages],
            [s.deals for s in stages],
            [s.hint for s in stages],
        )


async def titles(executor: Executor, policy: Policy) -> StageTitles:
    """What to call stages now: the policy's names, else those of CRMs."""
    rows = await executor.fetch(_NAMES)
    return StageTitles.of(policy, {(row["pipeline"], row["stage"]): row["name"] for row in rows})


async def unwatched(executor: Executor) -> list[Record]:
    """Stages with deals that the policy does not have, those with the most deals first."""
    return await executor.fetch(_UNWATCHED)
