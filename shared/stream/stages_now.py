"""SQL of the current state of stages, for services that read `flow.now`, with the tables `stage_now` and `judged`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from shared.contracts.now import NowData, RuleNow
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO stage_now SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (pipeline, stage) DO UPDATE SET data = excluded.data
"""
_SAVE_JUDGED = "INSERT INTO judged (at) VALUES ($1) ON CONFLICT (one) DO UPDATE SET at = excluded.at"
_STAGES = """
SELECT data::text AS data, (SELECT at FROM judged) AS at FROM stage_now
JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS w (pipeline, stage)) AS w USING (pipeline, stage)
"""
# For pages that keep themselves up to date: what is exact to the second would be another with every message.
_STAGES_BY_MINUTE = _STAGES.replace(
    "(SELECT at FROM judged) AS at",
    "(SELECT date_trunc('minute', at) FROM judged) AS at, (SELECT at >= $3 FROM judged) AS is_reached",
)
_JUDGED = "SELECT at FROM judged"
# A stage of a pipeline: the ids of both, the pipeline's first.
Stage = tuple[str, str]


class StagesNow(NamedTuple):
    """Stages as of `at`; None if nothing is known yet. `known_until`: at least until then, where `at` is less exact."""

    at: datetime | None
    stages: Mapping[Stage, NowData]
    known_until: datetime | None = None

    def reaches(self, instant: datetime) -> bool:
        """Whether this is how stages stand at an instant, or later."""
        until = self.known_until or self.at
        return until is not None and instant <= until

    def rule(self, pipeline: str, stage: str | None, key: str) -> RuleNow | None:
        """How the rule stands that finds the problem of this key."""
        found = self.stages.get((pipeline, stage or ""))
        return found.rule(key) if found else None


async def save(connection: Connection, messages: Sequence[NowData], without: Any) -> None:
    """Keep the last message of each stage. Messages are in the order of the topic; `without`: fields not to keep."""
    if not messages:
        return
    last = {(one.pipeline, one.stage): one for one in messages}
    await connection.execute(
        _SAVE,
        [pipeline for pipeline, _ in last],
        [stage for _, stage in last],
        [one.model_dump(mode="json", exclude=without) for one in last.values()],
    )
    await connection.execute(_SAVE_JUDGED, messages[-1].as_of)


async def of_stages(executor: Executor, wanted: Iterable[Stage]) -> StagesNow:
    """How these stages stand."""
    listed = list(wanted)
    rows = await executor.fetch(_STAGES, [pipeline for pipeline, _ in listed], [stage for _, stage in listed])
    found = [_read(row["data"]) for row in rows]
    return StagesNow(rows[0]["at"] if rows else None, {(one.pipeline, one.stage): one for one in found})


async def by_minute(executor: Executor, wanted: Iterable[Stage], told: Collection[datetime] = ()) -> StagesNow:
    """How these stages stand, as of the last whole minute: the same until another minute begins, or one changes.

    `told`: the instants that the answer is asked whether it reaches them.
    """
    listed, newest = list(wanted), max(told, default=None)
    columns = [pipeline for pipeline, _ in listed], [stage for _, stage in listed]
    rows = await executor.fetch(_STAGES_BY_MINUTE, *columns, newest)
    found = [_read(row["data"]) for row in rows]
    if not rows:
        return StagesNow(None, {})
    # Rarely is a message of a problem ahead of those of the stages.
    until = newest if rows[0]["is_reached"] or newest is None else await judged_at(executor)
    return StagesNow(rows[0]["at"], {(one.pipeline, one.stage): one for one in found}, until)


@lru_cache(1024)
def _read(text: str) -> NowData:
    """Most stages stand as they did when the page before was made."""
    return NowData.model_validate_json(text)


async def judged_at(executor: Executor) -> datetime | None:
    """Until when all stages are known; None if nothing is known yet."""
    at: datetime | None = await executor.fetchval(_JUDGED)
    return at
