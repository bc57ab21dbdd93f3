"""SQL of pulls: what was seen, and when somebody answered. Nothing says who pulled, or by which link."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.tickets.domain.tokens import digest
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import CordFacts
from shared.postgres.pool import Connection, Executor

_ADD = """
INSERT INTO cord_pull (receipt, ticket, seq, pipeline, stage, pulled_at, seen, day, deal, waited)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_COLUMNS = "ticket, seq, pipeline, stage, pulled_at, seen, day, deal, waited, answered_at"
_OF_RECEIPT = f"SELECT {_COLUMNS} FROM cord_pull WHERE receipt = $1"
_OF_TICKET = f"SELECT {_COLUMNS} FROM cord_pull WHERE ticket = $1 ORDER BY seq"
_OF_STAGE = f"""
SELECT {_COLUMNS} FROM cord_pull WHERE (pipeline, stage) = ($1, $2) ORDER BY pulled_at DESC, id DESC LIMIT $3
"""
_ANSWER = """
UPDATE cord_pull SET answered_at = $2 WHERE ticket = $1 AND answered_at IS NULL RETURNING pulled_at, waited
"""
_FACTS = """
SELECT ticket, count(*) AS pulls, min(pulled_at) AS first_at, max(pulled_at) AS last_at,
    count(*) FILTER (WHERE waited) AS waited,
    count(*) FILTER (WHERE waited AND answered_at IS NOT NULL) AS answered,
    min(pulled_at) FILTER (WHERE waited AND answered_at IS NULL) AS waiting_since,
    max(greatest(extract(epoch FROM answered_at - pulled_at), 0)) FILTER (
        WHERE waited AND answered_at IS NOT NULL) AS answer_seconds
FROM cord_pull WHERE ticket = ANY($1::bigint[]) GROUP BY ticket
"""
# A deal by its id with or without the source, its address in the CRM, or its name.
_DEALS = """
SELECT DISTINCT ON (deal ->> 'deal') deal
FROM evidence_now, LATERAL jsonb_array_elements(
    coalesce(data -> 'worst', '[]') || coalesce(data -> 'sample', '[]') || coalesce(data -> 'rest', '[]')) AS f (deal)
WHERE (pipeline, stage) = ($1, $2) AND $3 IN (
    deal ->> 'deal', substr(deal ->> 'deal', strpos(deal ->> 'deal', ':') + 1), deal ->> 'url', deal ->> 'name')
LIMIT 2
"""


@dataclass(frozen=True)
class NewPull:
    """A pull of a stage's cord, before it belongs to a ticket. `waited`: nobody was at work on its ticket."""

    receipt: str
    pipeline: str
    stage: str
    pulled_at: datetime
    seen: str
    day: date | None
    deal: str | None
    waited: bool


@dataclass(frozen=True)
class StoredPull:
    """One pull. `seq`: the change of the ticket that it is. `waited`: nobody was at work on the ticket then.

    `answered_at`: when a person did something about the ticket for the first time after it.
    """

    ticket: int
    seq: int
    pipeline: str
    stage: str
    pulled_at: datetime
    seen: str
    day: date | None
    deal: str | None
    waited: bool
    answered_at: datetime | None


async def add(connection: Connection, ticket: int, seq: int, one: NewPull) -> None:
    """Keep a pull, which is this change of the ticket, with the hash of its receipt."""
    await connection.execute(
        _ADD,
        digest(one.receipt),
        ticket,
        seq,
        one.pipeline,
        one.stage,
        one.pulled_at,
        one.seen,
        one.day,
        one.deal,
        one.waited,
    )


async def of_receipt(executor: Executor, receipt: str) -> StoredPull | None:
    row = await executor.fetchrow(_OF_RECEIPT, digest(receipt))
    return StoredPull(**dict(row)) if row else None


async def of_ticket(executor: Executor, ticket: int) -> Sequence[StoredPull]:
    """The pulls of a ticket, in order."""
    return [StoredPull(**dict(row)) for row in await executor.fetch(_OF_TICKET, ticket)]


async def of_stage(executor: Executor, pipeline: str, stage: str, limit: int) -> Sequence[StoredPull]:
    """The newest pulls of a stage."""
    return [StoredPull(**dict(row)) for row in await executor.fetch(_OF_STAGE, pipeline, stage, limit)]


async def facts(executor: Executor, tickets: Collection[int]) -> dict[int, CordFacts]:
    """What messages and the API say of the pulls, by ticket; of those that were pulled."""
    rows = await executor.fetch(_FACTS, list(tickets)) if tickets else []
    return {
        row["ticket"]: CordFacts.model_validate({name: row[name] for name in CordFacts.model_fields}) for row in rows
    }


async def answer(connection: Connection, ticket: int, at: datetime) -> Sequence[float]:
    """Record that a person answered all pulls of a ticket; for how many seconds each of those that waited did so."""
    rows = await connection.fetch(_ANSWER, ticket, at)
    return [max(0.0, (at - row["pulled_at"]).total_seconds()) for row in rows if row["waited"]]


async def known_deal(executor: Executor, pipeline: str, stage: str, typed: str) -> EvidenceDeal | None:
    """The deal of the stage that is meant; None where none, or more than one, is called so."""
    rows = await executor.fetch(_DEALS, pipeline, stage, typed)
    return EvidenceDeal.model_validate(rows[0]["deal"]) if len(rows) == 1 else None
