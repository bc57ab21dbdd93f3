"""SQL of studies: what the system finds about each cycle's change, and what a person decides on it."""

from __future__ import annotations

from datetime import datetime

from services.tickets.domain.ticket import Ticket
from shared.contracts.tickets import StudyFacts, TicketChange
from shared.postgres.pool import Connection, Executor

# Where late events or an undone closing bring a study back, it goes on.
_BEGIN = """
INSERT INTO study (ticket, cycle, plan, started_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ticket, cycle) DO UPDATE SET ended_at = NULL
"""
_END = "UPDATE study SET ended_at = $3 WHERE (ticket, cycle) = ($1, $2) AND ended_at IS NULL"
_DECIDE = """
UPDATE study SET decision = $3, decided_at = $4, decided_because = $5 WHERE (ticket, cycle) = ($1, $2)
"""
_FACTS = """
SELECT data AS facts, verdict, reason, week, hold FROM study WHERE (ticket, cycle) = ($1, $2)
"""


async def begin(connection: Connection, ticket: Ticket, at: datetime) -> None:
    """Begin the study of the plan in force, or go on with it."""
    await connection.execute(_BEGIN, ticket.id, ticket.cycle, ticket.plan, at)


async def end(connection: Connection, ticket: Ticket, at: datetime) -> None:
    """End the study of the ticket's cycle: nobody wants to know any more."""
    await connection.execute(_END, ticket.id, ticket.cycle, at)


async def decide(
    connection: Connection, ticket: int, cycle: int, decision: TicketChange, at: datetime, reason: str | None
) -> None:
    """Keep what a person decided on a verdict."""
    await connection.execute(_DECIDE, ticket, cycle, decision.value, at, reason)


async def facts(executor: Executor, ticket: Ticket) -> StudyFacts | None:
    """What the study of the ticket's cycle has found; None before it begins."""
    row = await executor.fetchrow(_FACTS, ticket.id, ticket.cycle)
    if row is None:
        return None
    columns = {name: row[name] for name in ("verdict", "reason", "week", "hold")}
    return StudyFacts.model_validate((row["facts"] or {}) | columns)
