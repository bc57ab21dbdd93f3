"""SQL of what became of the mails about tickets."""

from __future__ import annotations

from collections.abc import Sequence

from services.tickets.domain.ticket import Ticket
from shared.contracts.notices import NoticeData
from shared.postgres.pool import Connection, Executor, Record

_SAVE = """
INSERT INTO notice (notice, ticket, reason, result, message_id, at, detail, key)
SELECT DISTINCT ON (n) n, t, r, s, m, a, d, k
FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[]
) AS w (n, t, r, s, m, a, d, k) ORDER BY n, s = 'waiting', a DESC
ON CONFLICT (notice) DO UPDATE SET result = excluded.result, at = excluded.at, detail = excluded.detail
    WHERE notice.result = 'waiting' AND (excluded.result <> 'waiting' OR excluded.at > notice.at)
"""
_OF_TICKET = (
    "SELECT reason, result, at, detail FROM notice WHERE ticket = $1 AND coalesce(key, $2) = $2 ORDER BY at, notice"
)


async def save(connection: Connection, notices: Sequence[NoticeData]) -> None:
    """Keep the newest result of each mail. A late result changes nothing once it was sent or refused."""
    if notices:
        await connection.execute(
            _SAVE,
            [n.notice for n in notices],
            [n.ticket for n in notices],
            [n.reason.value for n in notices],
            [n.result.value for n in notices],
            [n.message_id for n in notices],
            [n.at for n in notices],
            [n.detail for n in notices],
            [n.key for n in notices],
        )


async def of_ticket(executor: Executor, ticket: Ticket) -> list[Record]:
    """What became of each mail about a ticket, in order of time."""
    return await executor.fetch(_OF_TICKET, ticket.id, ticket.key)
