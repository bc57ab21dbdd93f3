"""SQL of ticket messages whose chart is still to be drawn.

Ids grow in the order of a ticket's changes: each change holds the lock of the ticket's row until it commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tickets.charts.spec import Drawing, to_json
from shared.contracts.tickets import TicketEvent
from shared.postgres.pool import Connection, Executor

_ADD = "INSERT INTO ticket_message (ticket, event, chart) VALUES ($1, $2, $3)"
_NEXT = "SELECT id, ticket, event, chart FROM ticket_message ORDER BY id LIMIT $1"
_OLDEST = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) FROM ticket_message"
# Does nothing where another replica was first, or while an earlier message of the ticket waits.
_DELETE = """
DELETE FROM ticket_message AS m WHERE id = $1
    AND NOT EXISTS (SELECT FROM ticket_message AS e WHERE e.ticket = m.ticket AND e.id < m.id)
RETURNING id
"""


@dataclass(frozen=True)
class PendingMessage:
    """A ticket's message without its chart, and what the chart shows: both as JSON, perhaps of another version."""

    id: int
    ticket: int
    event: bytes
    chart: bytes | None


async def add(connection: Connection, event: TicketEvent, chart: Drawing | None) -> None:
    """Keep a message in the transaction of its change."""
    await connection.execute(_ADD, event.data.ticket, event.to_json(), to_json(chart) if chart else None)


async def pending(executor: Executor, limit: int) -> Sequence[PendingMessage]:
    """The oldest messages, in order."""
    return [PendingMessage(**dict(row)) for row in await executor.fetch(_NEXT, limit)]


async def claim(connection: Connection, number: int) -> bool:
    """Delete a message that is published in this transaction. False: it is not its turn, or another replica's."""
    return await connection.fetchval(_DELETE, number) is not None


async def oldest_seconds(executor: Executor) -> float:
    """For how long the oldest message has been waiting; 0 where none is."""
    return float(await executor.fetchval(_OLDEST))
