"""SQL of the notices: what was written about a ticket, and what a decision changes."""

from __future__ import annotations

from services.notifier.domain.decide import Decision, NoticeHistory, WaitingNotice
from services.notifier.domain.mail import message_id
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData
from shared.policy.model import Owner
from shared.postgres.pool import Connection

# Locks the mails, so that no sender claims one between a decision and its commit.
_WAITING = """
SELECT notice.id, reason, claimed_until IS NOT NULL OR possibly_delivered AS frozen
FROM notice JOIN mail ON mail.id = notice.mail
WHERE ticket = $1 AND NOT dropped AND state = 'waiting' ORDER BY notice.id FOR UPDATE OF mail
"""
_HISTORY = """
SELECT max(notice.created_at) FILTER (WHERE reason = 'grew' AND NOT dropped) AS last_grew,
    coalesce(max(latest_seq), 0) AS latest_seq,
    (array_agg(reason ORDER BY notice.id DESC) FILTER (WHERE state = 'sent'))[1] AS last_sent
FROM notice JOIN mail ON mail.id = notice.mail WHERE ticket = $1
"""
_INSERT = """
WITH single AS (
    INSERT INTO mail (message_id, kind, to_name, to_mail, due) VALUES ($1, 'single', $2, $3, $4) RETURNING id
)
INSERT INTO notice (mail, ticket, seq, latest_seq, reason, facts) SELECT id, $5, $6, $6, $7, $8 FROM single
"""
_UPDATE = "UPDATE notice SET reason = $2, facts = $3, latest_seq = $4 WHERE id = $1 AND latest_seq < $4"
_DROP = "UPDATE notice SET dropped = true WHERE id = ANY($1::bigint[]) RETURNING mail"
_DROP_EMPTY_MAILS = """
UPDATE mail SET state = 'dropped', ended_at = clock_timestamp()
WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT FROM notice WHERE notice.mail = mail.id AND NOT dropped)
"""


async def history(connection: Connection, ticket: int) -> NoticeHistory:
    """The notices about a ticket. The mails of those that wait are locked until the transaction ends."""
    rows = await connection.fetch(_WAITING, ticket)
    waiting = [WaitingNotice(row["id"], NoticeReason(row["reason"]), row["frozen"]) for row in rows]
    row = await connection.fetchrow(_HISTORY, ticket)
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    last_sent = NoticeReason(row["last_sent"]) if row["last_sent"] else None
    return NoticeHistory(waiting, last_sent, row["last_grew"], row["latest_seq"])


async def apply(
    connection: Connection, facts: TicketData, decision: Decision, owner: Owner | None, domain: str
) -> None:
    """Write what was decided about one change. Without an owner the mail has no address. `domain`: of Message-IDs."""
    if decision.dropped:
        mails = [row["mail"] for row in await connection.fetch(_DROP, list(decision.dropped))]
        await connection.execute(_DROP_EMPTY_MAILS, mails)
    if decision.reason is None:
        return
    reason, document = decision.reason.value, facts.model_dump(mode="json")
    if decision.into is not None:
        await connection.execute(_UPDATE, decision.into, reason, document, facts.seq)
        return
    recipient = (owner.name, owner.mail) if owner else ("", "")
    identity = message_id(facts.ticket, facts.seq, domain)
    await connection.execute(_INSERT, identity, *recipient, decision.due, facts.ticket, facts.seq, reason, document)
