"""SQL of how long tickets wait for people: written with each change, so that a reader need not search all histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.tickets.domain.ticket import TicketStep
from shared.contracts.tickets import Actor, TicketChange
from shared.postgres.pool import Connection, Executor

_BEGIN = "INSERT INTO ticket_wait (ticket, seq, wait, begun_at) VALUES ($1, $2, $3, $4)"
_END = """
UPDATE ticket_wait SET ended_at = $3, by_person = $4 WHERE ticket = $1 AND wait = ANY($2::text[]) AND ended_at IS NULL
"""
# A wait that ended by itself, as when a problem cleared before anybody saw it, is none of those that were answered.
_TIMES = """
WITH found AS (
    SELECT wait, begun_at, ended_at, coalesce(by_person, false) AS is_answered FROM ticket_wait
    WHERE $1::text IS NULL AND $2::text IS NULL OR ticket IN (SELECT id FROM ticket
        WHERE ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2))
    UNION ALL
    SELECT 'answered', pulled_at, answered_at, answered_at IS NOT NULL FROM cord_pull
    WHERE waited AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR $2 = 'cord')
)
SELECT wait, count(*) FILTER (WHERE is_answered) AS answered,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY ended_at - begun_at) FILTER (WHERE is_answered) AS median,
    max(ended_at - begun_at) FILTER (WHERE is_answered) AS longest,
    count(*) FILTER (WHERE ended_at IS NULL) AS waiting,
    max($3 - begun_at) FILTER (WHERE ended_at IS NULL) AS waiting_longest
FROM found GROUP BY wait
"""


class Wait(StrEnum):
    """What a ticket waits for: to be seen, to be planned or closed, that its verdict is acted on.

    `answered`: what whoever pulled a cord waits for.
    """

    SEEN = "seen"
    PLANNED = "planned"
    DECIDED = "decided"
    ANSWERED = "answered"


# What begins to wait with a change of the system.
BEGUN_BY = {
    TicketChange.OPENED: (Wait.SEEN, Wait.PLANNED),
    TicketChange.REOPENED: (Wait.SEEN, Wait.PLANNED),
    TicketChange.VERDICT: (Wait.DECIDED,),
}
# What ends a wait, whoever does it.
ENDED_BY = {
    Wait.SEEN: (TicketChange.ACKNOWLEDGED, TicketChange.SNOOZED, TicketChange.PLANNED, TicketChange.CLOSED),
    Wait.PLANNED: (TicketChange.PLANNED, TicketChange.CLOSED),
    Wait.DECIDED: (TicketChange.ADOPTED, TicketChange.ADAPTED, TicketChange.DROPPED, TicketChange.REOPENED),
}


@dataclass(frozen=True)
class WaitTimes:
    """How long tickets waited. `answered`: how many waits are over; `waiting`: how many go on, the longest since."""

    answered: int
    median: timedelta | None
    longest: timedelta | None
    waiting: int
    waiting_longest: timedelta | None


async def record(connection: Connection, step: TicketStep) -> None:
    """Write which waits end with a change, and which begin."""
    ended = [wait.value for wait, changes in ENDED_BY.items() if step.change in changes]
    if ended:
        await connection.execute(_END, step.ticket.id, ended, step.at, step.actor is Actor.PERSON)
    if step.actor is Actor.SYSTEM:
        for wait in BEGUN_BY.get(step.change, ()):
            await connection.execute(_BEGIN, step.ticket.id, step.ticket.seq, wait.value, step.at)


async def times(executor: Executor, pipeline: str | None, kind: str | None, now: datetime) -> Mapping[Wait, WaitTimes]:
    """How long tickets waited for people, of one pipeline and kind of problem, or of all."""
    rows = await executor.fetch(_TIMES, pipeline, kind, now)
    fields = WaitTimes.__dataclass_fields__
    return {Wait(row["wait"]): WaitTimes(**{name: row[name] for name in fields}) for row in rows}
