"""Deletes old mails, without changing what is decided or sent later."""

from __future__ import annotations

from datetime import datetime

from services.notifier.domain.reasons import ABOUT_PROBLEM
from shared.contracts.canary import CANARY
from shared.postgres.pool import Pool

# Decisions about a ticket depend on some of its notices, however old: the newest, the one that covers its latest change
# (a second delivery of a change is known by it), and the last ones that were sent: of all, of those that tell of the
# problem ($3), and of verdicts. These stay. One whose answer was lost may have ended after newer ones.
_DELETE_NOTICES = """
DELETE FROM notice WHERE id IN (
    SELECT old.id FROM notice AS old JOIN mail ON mail.id = old.mail
    WHERE mail.ended_at < $1
        AND EXISTS (
            SELECT FROM notice AS n WHERE n.thread = old.thread AND n.id > old.id AND n.latest_seq >= old.latest_seq
        )
        AND (mail.state <> 'sent' OR EXISTS (
            SELECT FROM notice AS n JOIN mail AS m ON m.id = n.mail
            WHERE n.thread = old.thread AND n.id > old.id AND m.state = 'sent' AND m.ended_at >= mail.ended_at
                AND (n.reason = ANY($3) OR old.reason <> ALL($3)) AND (n.reason = 'verdict' OR old.reason <> 'verdict')
        ))
    LIMIT $2
)
"""
# The facts hold a chart, and are by far the largest part. They are needed to write the mail only.
_DELETE_FACTS = """
UPDATE notice SET facts = NULL WHERE id IN (
    SELECT notice.id FROM notice JOIN mail ON mail.id = notice.mail
    WHERE mail.ended_at < $1 AND facts IS NOT NULL LIMIT $2
)
"""
_DELETE_REPORTS = """
UPDATE mail SET report = NULL WHERE id IN (
    SELECT id FROM mail WHERE ended_at < $1 AND report IS NOT NULL LIMIT $2
)
"""
# A quarter of them counts for the false-alarm budget.
_DELETE_TICKETS = """
DELETE FROM ticket_now WHERE (ticket, key, opened_at) IN (
    SELECT ticket, key, opened_at FROM ticket_now
    WHERE state = 'closed' AND known_at < least($1, now() - interval '92 days') LIMIT $2
)
"""
# Weekly reports count the answered ones of a week. One that waits stays for as long as its ticket is open.
_DELETE_WAITS = """
DELETE FROM cord_wait WHERE (ticket, key, opened_at, seq) IN (
    SELECT ticket, key, opened_at, seq FROM cord_wait AS wait
    WHERE coalesce(known_at, pulled_at) < least($1, now() - interval '92 days')
        AND (known_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM ticket_now AS t
            WHERE (t.ticket, t.key, t.opened_at) = (wait.ticket, wait.key, wait.opened_at) AND state <> 'closed'
        ))
    LIMIT $2
)
"""
_FORGET_REPORTS = "DELETE FROM report WHERE (address, due) IN (SELECT address, due FROM report WHERE due < $1 LIMIT $2)"
_DELETE_MAILS = """
DELETE FROM mail WHERE id IN (
    SELECT id FROM mail WHERE ended_at < $1 AND NOT EXISTS (SELECT FROM notice WHERE notice.mail = mail.id) LIMIT $2
)
"""
# Also what waits for a receiver that is no longer in the hooks file.
_DELETE_DELIVERIES = """
DELETE FROM hook_delivery WHERE id IN (
    SELECT id FROM hook_delivery WHERE coalesce(ended_at, wanted_at) < $1 LIMIT $2
)
"""
# What the canary leaves, an hour after it ended: of each run a thread with one notice and its mail.
_DELETE_TRIALS = """
WITH old AS (
    SELECT notice.id, notice.mail, notice.thread FROM notice
        JOIN thread ON thread.id = notice.thread JOIN mail ON mail.id = notice.mail
    WHERE split_part(thread.key, '/', 2) = $1 AND mail.ended_at < clock_timestamp() - interval '1 hour' LIMIT $2
), notices AS (DELETE FROM notice USING old WHERE notice.id = old.id),
    threads AS (DELETE FROM thread USING old WHERE thread.id = old.thread)
DELETE FROM mail USING old WHERE mail.id = old.mail
"""


async def prune(pool: Pool, before: datetime, limit: int) -> int:
    """Prune mails that ended before a time, at most `limit` rows by each statement; how many rows."""
    kept = [reason.value for reason in ABOUT_PROBLEM]
    tags = [
        await pool.execute(_DELETE_NOTICES, before, limit, kept),
        await pool.execute(_DELETE_TRIALS, CANARY, limit),
    ]
    statements = (
        _DELETE_FACTS,
        _DELETE_REPORTS,
        _DELETE_MAILS,
        _DELETE_TICKETS,
        _DELETE_WAITS,
        _FORGET_REPORTS,
        _DELETE_DELIVERIES,
    )
    tags += [await pool.execute(statement, before, limit) for statement in statements]
    return sum(int(tag.rpartition(" ")[2]) for tag in tags)
