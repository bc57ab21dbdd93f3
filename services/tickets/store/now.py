"""SQL of how stages stand now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import TypeAdapter

from shared.contracts.now import NowData
from shared.contracts.problems import Evidence
from shared.postgres.pool import Connection, Executor
from shared.wording.money import MoneyAtStake, at_stake

_SAVE = """
INSERT INTO stage_now SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (pipeline, stage) DO UPDATE SET data = excluded.data
"""
_FORGET_EVIDENCE = """
DELETE FROM evidence_now AS e USING unnest($1::text[], $2::text[]) AS w (pipeline, stage)
WHERE e.pipeline = w.pipeline AND e.stage = w.stage
"""
_SAVE_EVIDENCE = """
INSERT INTO evidence_now SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
ON CONFLICT (key) DO UPDATE SET pipeline = excluded.pipeline, stage = excluded.stage, data = excluded.data,
    stake = excluded.stake
"""
_SAVE_JUDGED = "INSERT INTO judged (at) VALUES ($1) ON CONFLICT (one) DO UPDATE SET at = excluded.at"
_STAGES = """
SELECT data, (SELECT at FROM judged) AS at FROM stage_now
JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS w (pipeline, stage)) AS w USING (pipeline, stage)
"""
_STAKES = "SELECT key, stake FROM evidence_now WHERE key = ANY($1::text[])"
_EVIDENCE = "SELECT data FROM evidence_now WHERE key = $1"
_WITHOUT_DEALS = {"rules": {"__all__": {"evidence"}}}
_STAKE = TypeAdapter(MoneyAtStake)
# A stage of a pipeline: the ids of both, the pipeline's first.
Stage = tuple[str, str]


class StagesNow(NamedTuple):
    """Stages as of `at`; None where nothing was told yet."""

    at: datetime | None
    stages: Mapping[Stage, NowData]


async def save(connection: Connection, told: Sequence[NowData]) -> None:
    """Keep the last message of each stage. Messages are in the order of the topic."""
    if not told:
        return
    last = {(one.pipeline, one.stage): one for one in told}
    columns = [[stage[0] for stage in last], [stage[1] for stage in last]]
    without_deals = [one.model_dump(mode="json", exclude=_WITHOUT_DEALS) for one in last.values()]
    await connection.execute(_SAVE, *columns, without_deals)
    await connection.execute(_FORGET_EVIDENCE, *columns)
    shown = {rule.key: (*stage, rule.evidence) for stage, one in last.items() for rule in one.rules if rule.evidence}
    await connection.execute(
        _SAVE_EVIDENCE,
        list(shown),
        [pipeline for pipeline, _, _ in shown.values()],
        [stage for _, stage, _ in shown.values()],
        [evidence.model_dump(mode="json") for _, _, evidence in shown.values()],
        [_STAKE.dump_python(at_stake(found.deals, found.total), mode="json") for _, _, found in shown.values()],
    )
    await connection.execute(_SAVE_JUDGED, told[-1].as_of)


async def of_stages(executor: Executor, wanted: Iterable[Stage]) -> StagesNow:
    """How these stages stand, without their deals."""
    listed = list(wanted)
    rows = await executor.fetch(_STAGES, [pipeline for pipeline, _ in listed], [stage for _, stage in listed])
    found = [NowData.model_validate(row["data"]) for row in rows]
    return StagesNow(rows[0]["at"] if rows else None, {(one.pipeline, one.stage): one for one in found})


async def stakes(executor: Executor, keys: Sequence[str]) -> Mapping[str, MoneyAtStake]:
    """What the deals that are in each of these problems now are worth, by key."""
    return {row["key"]: _STAKE.validate_python(row["stake"]) for row in await executor.fetch(_STAKES, list(keys))}


async def evidence(executor: Executor, key: str) -> Evidence | None:
    """The deals that are in a problem now. None: it is not open, or nothing was told yet."""
    raw = await executor.fetchval(_EVIDENCE, key)
    return Evidence.model_validate(raw) if raw else None
