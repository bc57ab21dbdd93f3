"""SQL of how long pulls of a cord wait until somebody is at work on their ticket. Nothing says who."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.domain.reasons import is_pull
from shared.contracts.tickets import Actor, TicketData, TicketState
from shared.postgres.pool import Connection, Record

# A database that was set back gives the number of a change again, to another pull.
_PULLED = """
INSERT INTO cord_wait (ticket, key, opened_at, seq, pulled_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (ticket, key, opened_at, seq) DO UPDATE
SET pulled_at = excluded.pulled_at, answered_at = NULL, known_at = NULL WHERE cord_wait.pulled_at <> excluded.pulled_at
"""
_ANSWERED = """
UPDATE cord_wait SET answered_at = greatest($5, pulled_at), known_at = $6
WHERE ticket = $1 AND key = $2 AND opened_at = $3 AND seq < $4 AND answered_at IS NULL
"""
# What was answered after a report fell due belongs to the next one. No pull waits at a ticket that is closed.
_OF_SPAN = """
WITH wait AS (
    SELECT home, pulled_at, answered_at - pulled_at AS answered_after,
        coalesce(cord_wait.known_at >= $2 AND cord_wait.known_at < $3, false) AS is_answered,
        answered_at IS NULL AND state <> 'closed' AS is_waiting
    FROM cord_wait JOIN ticket_now USING (ticket, key, opened_at) WHERE home = ANY($1::text[])
)
SELECT home, count(*) FILTER (WHERE is_answered) AS answered,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY answered_after) FILTER (WHERE is_answered) AS median,
    max(answered_after) FILTER (WHERE is_answered) AS longest,
    count(*) FILTER (WHERE is_waiting) AS waiting, min(pulled_at) FILTER (WHERE is_waiting) AS waiting_since
FROM wait WHERE is_answered OR is_waiting GROUP BY home
"""


@dataclass(frozen=True)
class CordWaits:
    """Pulls of one pipeline's cords. `median`, `longest`: until the answer, of those `answered` in a span of time.

    `waiting`: how many have no answer yet, since `waiting_since`.
    """

    answered: int
    median: timedelta | None
    longest: timedelta | None
    waiting: int
    waiting_since: datetime | None


async def record(connection: Connection, facts: TicketData, now: datetime) -> None:
    """Begin to wait with a pull that nobody is at work on; what a person does on the ticket answers all before it."""
    change = facts.ticket, facts.key, facts.opened_at, facts.seq, facts.at
    if is_pull(facts) and facts.state in (TicketState.OPEN, TicketState.SNOOZED):
        await connection.execute(_PULLED, *change)
    elif facts.actor is Actor.PERSON:
        await connection.execute(_ANSWERED, *change, now)


async def of_span(connection: Connection, homes: list[str], begin: datetime, end: datetime) -> dict[str, CordWaits]:
    """The pulls that were answered in `[begin, end)`, and those that wait, by pipeline."""
    rows = await connection.fetch(_OF_SPAN, homes, begin, end)
    return {row["home"]: _waits(row) for row in rows}


def _waits(row: Record) -> CordWaits:
    return CordWaits(row["answered"], row["median"], row["longest"], row["waiting"], row["waiting_since"])
