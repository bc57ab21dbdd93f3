"""SQL of how stages stand now: shared with other services; here also the deals in problems, and open deals' entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import TypeAdapter

from shared import wording
from shared.contracts.now import NowData
from shared.contracts.problems import Evidence
from shared.postgres.pool import Connection, Executor
from shared.stream import stages_now
from shared.stream.stages_now import Stage
from shared.wording.money import MoneyAtStake

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
_EVIDENCE = "SELECT data, stake FROM evidence_now WHERE key = $1"
_SAVE_OPEN = """
INSERT INTO open_now SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (pipeline, stage) DO UPDATE SET data = excluded.data
"""
_OPEN = "SELECT data -> 'open_since' FROM open_now WHERE (pipeline, stage) = ($1, $2)"
# Messages with hundreds of deals take milliseconds each to write: between so many of them other tasks run.
SLICE = 8
# Lists show no deals.
_DEALS = {"rules": {"__all__": {"evidence"}}, "open_since": True}
_ENTRIES = TypeAdapter(list[datetime])
_STAKE = TypeAdapter(MoneyAtStake)


async def save(connection: Connection, messages: Sequence[NowData]) -> None:
    """Keep the last message of each stage. Messages are in the order of the topic."""
    for start in range(0, len(messages), SLICE):
        await _save(connection, messages[start : start + SLICE])


async def _save(connection: Connection, messages: Sequence[NowData]) -> None:
    await stages_now.save(connection, messages, _DEALS)
    last = {(one.pipeline, one.stage): one for one in messages}
    await connection.execute(_FORGET, [pipeline for pipeline, _ in last], [stage for _, stage in last])
    await connection.execute(
        _SAVE_OPEN,
        [pipeline for pipeline, _ in last],
        [stage for _, stage in last],
        [one.model_dump(mode="json", include={"open_since"}) for one in last.values()],
    )
    shown = {rule.key: (*stage, rule) for stage, one in last.items() for rule in one.rules if rule.evidence}
    await connection.execute(
        _SAVE,
        list(shown),
        [pipeline for pipeline, _, _ in shown.values()],
        [stage for _, stage, _ in shown.values()],
        [rule.evidence.model_dump(mode="json") for _, _, rule in shown.values() if rule.evidence],
        [_STAKE.dump_python(wording.of(rule.kind).stake(rule.evidence), mode="json") for _, _, rule in shown.values()],
    )


async def stakes(executor: Executor, keys: Sequence[str]) -> Mapping[str, MoneyAtStake]:
    """What the deals that are in each of these problems now are worth, by key."""
    rows = await executor.fetch(_STAKES, list(keys)) if keys else []
    return {row["key"]: _STAKE.validate_python(row["stake"]) for row in rows}


async def evidence(executor: Executor, key: str) -> tuple[Evidence, MoneyAtStake] | None:
    """The deals that are in a problem now, and what they are worth. None: not open, or not known yet."""
    row = await executor.fetchrow(_EVIDENCE, key)
    return (Evidence.model_validate(row["data"]), _STAKE.validate_python(row["stake"])) if row else None


async def open_since(executor: Executor, stage: Stage) -> list[datetime]:
    """When the open deals of a stage entered it, the oldest first; of very many only the oldest."""
    return _ENTRIES.validate_python(await executor.fetchval(_OPEN, *stage) or [])
