"""SQL of plans: the draft of each ticket, and the seals, which are only ever added."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.tickets.domain.draft import PlanDraft
from services.tickets.domain.faults import DraftChangedError
from services.tickets.domain.seal import SealedPlan, read_sealed
from shared.postgres.pool import Connection, Executor
from shared.stream.stages_now import Stage

_DRAFT = "SELECT data, version, saved_at FROM plan_draft WHERE ticket = $1"
_SAVE_DRAFT = """
INSERT INTO plan_draft (ticket, data, version, saved_at) VALUES ($1, $2, 1, $3)
ON CONFLICT (ticket) DO UPDATE SET data = excluded.data, version = plan_draft.version + 1, saved_at = excluded.saved_at
"""
_SEAL = """
INSERT INTO sealed_plan (ticket, cycle, number, content, hash, sealed_at, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_SEALS = "SELECT content FROM sealed_plan WHERE ticket = $1 ORDER BY cycle, number"
_LAST = "SELECT content FROM sealed_plan WHERE ticket = $1 ORDER BY cycle DESC, number DESC LIMIT 1"
_IN_FORCE = """
SELECT p.ticket, p.content FROM sealed_plan AS p
JOIN ticket AS t ON (t.id, t.cycle, t.plan) = (p.ticket, p.cycle, p.number) WHERE t.id = ANY($1::bigint[])
"""
_ONE = "SELECT content FROM sealed_plan WHERE (ticket, cycle, number) = ($1, $2, $3)"
# Sealed changes of some days that are still to come, or have taken place: the last seal of each cycle. Of those the
# ones whose problem or measure, which is [pipeline, stage, column], is at one of the places in $4 and $5.
_CHANGES = """
SELECT pipeline, stage, content FROM (
    SELECT DISTINCT ON (p.ticket, p.cycle) t.pipeline, t.problem ->> 'stage' AS stage, p.content,
        p.plan -> 'measure' AS m
    FROM ticket AS t JOIN sealed_plan AS p ON p.ticket = t.id
    WHERE t.pipeline = ANY($1::text[]) AND (
        (t.state IN ('planned', 'doing') AND t.cycle = p.cycle AND t.change_date BETWEEN $2 AND $3)
        OR EXISTS (SELECT FROM study AS s
            WHERE (s.ticket, s.cycle) = (p.ticket, p.cycle) AND s.started_at::date BETWEEN $2 AND $3))
    ORDER BY p.ticket, p.cycle, p.number DESC
) AS last
WHERE EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS w (pipeline, stage)
    WHERE (w.pipeline, w.stage) IN ((last.pipeline, coalesce(last.stage, '')), (last.m ->> 0, last.m ->> 1)))
"""


class SealedChange(NamedTuple):
    """A sealed change, with the pipeline and the stage of its ticket."""

    pipeline: str
    stage: str | None
    sealed: SealedPlan


@dataclass(frozen=True)
class SavedDraft:
    """A ticket's draft; `version` counts how often it was saved, 0: never."""

    draft: PlanDraft
    version: int = 0
    saved_at: datetime | None = None


async def draft(executor: Executor, ticket: int) -> SavedDraft:
    """The draft of a ticket; empty where none was saved."""
    row = await executor.fetchrow(_DRAFT, ticket)
    if row is None:
        return SavedDraft(PlanDraft())
    return SavedDraft(PlanDraft.model_validate(row["data"]), row["version"], row["saved_at"])


async def save_draft(connection: Connection, ticket: int, new: PlanDraft, version: int, at: datetime) -> SavedDraft:
    """Save a draft that was made from `version`, with the ticket locked. The same again changes nothing.

    Raises DraftChangedError where somebody else has saved another one since.
    """
    saved = await draft(connection, ticket)
    if saved.version and saved.draft == new:
        return saved
    if saved.version != version:
        raise DraftChangedError("Somebody else has saved the plan since you opened the page; see what it says now.")
    await connection.execute(_SAVE_DRAFT, ticket, new.model_dump(mode="json"), at)
    return await draft(connection, ticket)


async def seal(connection: Connection, sealed: SealedPlan) -> None:
    """Add a seal."""
    key = sealed.ticket, sealed.cycle, sealed.number
    content = sealed.content.decode()
    await connection.execute(_SEAL, *key, content, sealed.hash, sealed.sealed_at, sealed.reason)


async def last_seal(executor: Executor, ticket: int) -> SealedPlan | None:
    """The newest seal of a ticket, of any cycle, in force or not."""
    content = await executor.fetchval(_LAST, ticket)
    return read_sealed(content) if content else None


async def sealed(executor: Executor, ticket: int, cycle: int, number: int) -> SealedPlan | None:
    content = await executor.fetchval(_ONE, ticket, cycle, number)
    return read_sealed(content) if content else None


async def seals(executor: Executor, ticket: int) -> list[SealedPlan]:
    """Every seal of a ticket, the oldest first."""
    return [read_sealed(row["content"]) for row in await executor.fetch(_SEALS, ticket)]


async def in_force(executor: Executor, tickets: Collection[int]) -> Mapping[int, SealedPlan]:
    """The seal in force of each ticket that has one."""
    rows = await executor.fetch(_IN_FORCE, list(tickets)) if tickets else []
    return {row["ticket"]: read_sealed(row["content"]) for row in rows}


async def changes_at(executor: Executor, places: Collection[Stage], first: date, last: date) -> list[SealedChange]:
    """The changes that are about one of these places, of some days, that are sealed and to come, or have taken place.

    `places`: stages of pipelines; a stage that is empty stands for a whole pipeline.
    """
    columns = [pipeline for pipeline, _ in places], [stage for _, stage in places]
    rows = await executor.fetch(_CHANGES, list(set(columns[0])), first, last, *columns)
    return [SealedChange(row["pipeline"], row["stage"], read_sealed(row["content"])) for row in rows]
