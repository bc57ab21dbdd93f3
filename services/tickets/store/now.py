"""SQL of how stages stand now: shared with other services, and here with all deals that are in a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from shared.contracts.now import NowData
from shared.contracts.problems import Evidence, EvidenceDeal
from shared.postgres.pool import Connection, Executor
from shared.stream import stages_now
from shared.stream.stages_now import Stage
from shared.wording.money import MoneyAtStake, at_stake

_FORGET = """
DELETE FROM evidence_now AS e USING unnest($1::text[], $2::text[]) AS w (pipeline, stage)
WHERE e.pipeline = w.pipeline AND e.stage = w.stage
"""
_SAVE = """
INSERT INTO evidence_now SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
ON CONFLICT (key) DO UPDATE SET pipeline = excluded.pipeline, stage = excluded.stage, data = excluded.data,
    stake = excluded.stake
"""
_STAKES = "SELECT key, stake FROM evidence_now WHERE key = ANY($1::text[])"
_EVIDENCE = "SELECT data FROM evidence_now WHERE key = $1"
_OF_STAGE = "SELECT data FROM evidence_now WHERE (pipeline, stage) = ($1, $2)"
# Lists show no deals.
_DEALS = {"rules": {"__all__": {"evidence"}}}
_STAKE = TypeAdapter(MoneyAtStake)


async def save(connection: Connection, messages: Sequence[NowData]) -> None:
    """Keep the last message of each stage. Messages are in the order of the topic."""
    if not messages:
        return
    await stages_now.save(connection, messages, _DEALS)
    last = {(one.pipeline, one.stage): one for one in messages}
    await connection.execute(_FORGET, [pipeline for pipeline, _ in last], [stage for _, stage in last])
    shown = {rule.key: (*stage, rule.evidence) for stage, one in last.items() for rule in one.rules if rule.evidence}
    await connection.execute(
        _SAVE,
        list(shown),
        [pipeline for pipeline, _, _ in shown.values()],
        [stage for _, stage, _ in shown.values()],
        [found.model_dump(mode="json") for _, _, found in shown.values()],
        [_STAKE.dump_python(at_stake(found.deals, found.total), mode="json") for _, _, found in shown.values()],
    )


async def stakes(executor: Executor, keys: Sequence[str]) -> Mapping[str, MoneyAtStake]:
    """What the deals that are in each of these problems now are worth, by key."""
    return {row["key"]: _STAKE.validate_python(row["stake"]) for row in await executor.fetch(_STAKES, list(keys))}


async def evidence(executor: Executor, key: str) -> Evidence | None:
    """The deals that are in a problem now. None: it is not open, or its stage is not known yet."""
    raw = await executor.fetchval(_EVIDENCE, key)
    return Evidence.model_validate(raw) if raw else None


async def deals_of_stage(executor: Executor, stage: Stage) -> list[EvidenceDeal]:
    """The deals that are in any open problem of a stage now, each once."""
    rows = await executor.fetch(_OF_STAGE, *stage)
    return list({deal.deal: deal for row in rows for deal in Evidence.model_validate(row["data"]).deals}.values())
