"""SQL of the notices: what was written about a ticket, and what a decision changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notifier.domain.decide import Decision, NoticeHistory, WaitingNotice
from services.notifier.domain.mail import CoveredChange, message_id, notice_name, subject_of
from services.notifier.domain.readers import Addressee
from services.notifier.domain.reasons import ABOUT_PROBLEM, URGENT
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData
from shared.postgres.pool import Connection, Record
from shared.traceparent import TRACEPARENT

# Locks the mails, so that no sender claims one between a decision and its commit.
_WAITING = """
SELECT notice.id, reason, claimed_until IS NOT NULL OR unanswered > 0 AS frozen
FROM notice JOIN mail ON mail.id = notice.mail
WHERE thread = $1 AND NOT dropped AND state = 'waiting' ORDER BY notice.id FOR UPDATE OF mail
"""
_HISTORY = """
SELECT max(mail.ended_at) FILTER (WHERE state = 'sent') AS last_mail,
    coalesce(max(latest_seq), 0) AS latest_seq, max(latest_at) AS latest_at,
    (array_agg(reason ORDER BY notice.id DESC) FILTER (WHERE state = 'sent' AND reason = ANY($2)))[1] AS last_sent,
    coalesce(bool_or(reason = 'verdict' AND NOT dropped AND (state = 'sent' OR unanswered > 0
        OR claimed_until IS NOT NULL)), false) AS verdict_known,
    (array_agg(CASE WHEN dropped THEN reason END ORDER BY notice.id DESC))[1] AS dropped
FROM notice JOIN mail ON mail.id = notice.mail WHERE thread = $1
"""
_INSERT = """
WITH single AS (
    INSERT INTO mail (message_id, kind, to_name, to_mail, wanted_at, due, traceparent)
    VALUES ($1, 'single', $2, $3, $4, $4, $14) RETURNING id
)
INSERT INTO notice (mail, thread, name, ticket, seq, latest_seq, latest_at, reason, role, facts, changes)
SELECT id, $5, $6, $7, $8, $8, greatest($9, (SELECT max(latest_at) FROM notice WHERE thread = $5)), $10, $11, $12,
    jsonb_build_array($13::jsonb) FROM single
"""
_UPDATE = """
UPDATE notice SET reason = $2, facts = $3, covered = covered + 1,
    latest_seq = greatest(latest_seq, $4), latest_at = greatest(latest_at, $7),
    changes = CASE WHEN jsonb_array_length(changes) < $6 THEN changes ELSE changes - 0 END || $5::jsonb
WHERE id = $1
"""
# What one notice and later ones report becomes one notice. The later ones were written for changes that it covers now.
_ABSORB = """
WITH mine AS (
    DELETE FROM notice WHERE id = ANY($2::bigint[]) RETURNING id, latest_seq, latest_at, covered, changes
), listed AS (
    SELECT id, place, change FROM (
        SELECT id, changes FROM mine UNION ALL SELECT id, changes FROM notice WHERE id = $1
    ) AS one, jsonb_array_elements(changes) WITH ORDINALITY AS of_one (change, place)
    ORDER BY id DESC, place DESC LIMIT $3
)
UPDATE notice SET covered = covered + (SELECT sum(covered) FROM mine),
    latest_seq = greatest(latest_seq, (SELECT max(latest_seq) FROM mine)),
    latest_at = greatest(latest_at, (SELECT max(latest_at) FROM mine)),
    changes = (SELECT jsonb_agg(change ORDER BY id, place) FROM listed)
WHERE id = $1
"""
_HASTEN = """
UPDATE mail SET due = least(due, $2), wanted_at = least(wanted_at, $2)
WHERE id = (SELECT mail FROM notice WHERE id = $1) AND attempts = 0
"""
_THREAD = "SELECT id FROM thread WHERE ticket = $1 AND key = $2 AND opened_at = $3 AND address = $4"
_BEGIN_THREAD = """
INSERT INTO thread (ticket, key, opened_at, address, subject, message_id) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""
# Only what was reported as waiting is reported as dropped.
_DROP = """
UPDATE notice SET dropped = true FROM mail, thread
WHERE notice.id = ANY($1::bigint[]) AND mail.id = notice.mail AND thread.id = notice.thread
RETURNING mail, name, notice.ticket, key, reason, mail.message_id, role, answer IS NOT NULL AS reported
"""
_DROP_EMPTY_MAILS = """
UPDATE mail SET state = 'dropped', ended_at = clock_timestamp()
WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT FROM notice WHERE notice.mail = mail.id AND NOT dropped)
"""
# Changes that a mail lists one by one.
LISTED_CHANGES = 8


@dataclass(frozen=True)
class News:
    """What to report of a ticket: a change, or an occasion that is known by its name."""

    facts: TicketData
    covered: CoveredChange
    occasion: str | None = None

    @classmethod
    def of(cls, facts: TicketData) -> News:
        """The change that the message is about."""
        return cls(facts, CoveredChange(change=facts.change, at=facts.at, count=facts.count, actor=facts.actor))


async def history(connection: Connection, facts: TicketData, address: str) -> NoticeHistory:
    """The notices about a ticket to an address. The mails of those that wait are locked until the transaction ends."""
    thread = await _thread(connection, facts, address)
    if thread is None:
        return NoticeHistory()
    rows = await connection.fetch(_WAITING, thread)
    waiting = [WaitingNotice(row["id"], NoticeReason(row["reason"]), row["frozen"]) for row in rows]
    row = await connection.fetchrow(_HISTORY, thread, [reason.value for reason in ABOUT_PROBLEM])
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    last_sent, dropped = (NoticeReason(row[name]) if row[name] else None for name in ("last_sent", "dropped"))
    latest = row["latest_seq"], row["latest_at"]
    return NoticeHistory(waiting, last_sent, row["last_mail"], *latest, dropped, row["verdict_known"])


async def apply(connection: Connection, news: News, decision: Decision, to: Addressee, domain: str) -> list[Record]:
    """Write what was decided about one change. Without an owner the mail has no address. `domain`: of Message-IDs.

    Returns the notices that were dropped after they had been reported as waiting.
    """
    gone = (*decision.dropped, *decision.absorbed)
    dropped = await drop(connection, gone) if gone else []
    if decision.reason is None:
        return dropped
    due = to.due(decision.due, decision.reason)
    if decision.into is None:
        await _insert(connection, news, decision.reason, due, to, domain)
    else:
        if decision.absorbed:
            await connection.execute(_ABSORB, decision.into, list(decision.absorbed), LISTED_CHANGES)
        await _update(connection, news, decision.reason, decision.into)
        if decision.reason in URGENT:
            await connection.execute(_HASTEN, decision.into, due)
    return dropped


async def _insert(
    connection: Connection, news: News, reason: NoticeReason, due: datetime, to: Addressee, domain: str
) -> None:
    facts, reader = news.facts, to.reader
    name = notice_name(facts, reader.address, news.occasion)
    identity = message_id(name, domain)
    thread = await _thread(connection, facts, reader.address)
    if thread is None:
        thread = await _begin_thread(connection, facts, reader.address, identity)
    await connection.execute(
        _INSERT,
        *(identity, reader.name, reader.mail, due),
        *(thread, name, facts.ticket, facts.seq, facts.at, reason.value, to.role),
        *(facts.model_dump(mode="json"), news.covered.model_dump(mode="json"), TRACEPARENT.get()),
    )


async def _update(connection: Connection, news: News, reason: NoticeReason, into: int) -> None:
    document, change = news.facts.model_dump(mode="json"), news.covered.model_dump(mode="json")
    numbers = news.facts.seq, change, LISTED_CHANGES, news.facts.at
    await connection.execute(_UPDATE, into, reason.value, document, *numbers)


async def _thread(connection: Connection, facts: TicketData, address: str) -> int | None:
    thread: int | None = await connection.fetchval(_THREAD, facts.ticket, facts.key, facts.opened_at, address)
    return thread


async def _begin_thread(connection: Connection, facts: TicketData, address: str, message_id: str) -> int:
    ticket = facts.ticket, facts.key, facts.opened_at
    thread: int = await connection.fetchval(_BEGIN_THREAD, *ticket, address, subject_of(facts), message_id)
    return thread


async def drop(connection: Connection, notices: Sequence[int]) -> list[Record]:
    """Drop notices that wait; those that had been reported as waiting."""
    rows = await connection.fetch(_DROP, list(notices))
    await connection.execute(_DROP_EMPTY_MAILS, [row["mail"] for row in rows])
    return [row for row in rows if row["reported"]]
