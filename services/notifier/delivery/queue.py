"""The mails that wait: claimed by one sender each, marked once the server has answered.

Claims go by the database's clock, the only one that all replicas share. The end of a claim also identifies it: a
takeover sets a later end. An expired claim (its process died) is taken over; its mail may have been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notifier.delivery.answer_log import kind_of
from services.notifier.domain.mail import CoveredChange, Mail, Notice, ProblemNow, Thread
from services.notifier.domain.reasons import OF_PROBLEM
from services.notifier.domain.report import ReportData
from services.notifier.publish import result_message
from shared.contracts.notices import NoticeReason, NoticeResult
from shared.contracts.tickets import TicketData
from shared.postgres.pool import Connection, Executor, Pool, Record
from shared.stream import outbox, stages_now
from shared.stream.stages_now import Stage, StagesNow

# In order within a ticket, but no mail waits for one whose answer was lost: it may never come. After a start of the
# database, claims that expired are left to their holder for $4: it may have sent the mail and failed to mark it.
_CLAIM = """
UPDATE mail SET claimed_until = now() + $3::interval, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM mail AS due_mail
    WHERE state = 'waiting' AND due <= $1
        AND (claimed_until IS NULL OR greatest(claimed_until, pg_postmaster_start_time() + $4::interval) < now())
        AND NOT EXISTS (
            SELECT FROM notice AS mine
            JOIN notice AS other USING (thread)
            JOIN mail AS earlier ON earlier.id = other.mail
            WHERE mine.mail = due_mail.id AND NOT mine.dropped AND NOT other.dropped
                AND earlier.id < due_mail.id AND earlier.state = 'waiting'
                AND (earlier.unanswered = 0 OR earlier.claimed_until IS NOT NULL)
        )
    ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id, message_id, to_name, to_mail, wanted_at, attempts, claimed_until AS claim, unanswered, answer, report,
    traceparent,
    greatest(wanted_at - created_at, interval '0') AS held
"""
_NOTICES = """
SELECT mail, notice.ticket, seq, reason, facts, changes, covered, subject, message_id
FROM notice JOIN thread ON thread.id = notice.thread
WHERE mail = ANY($1::bigint[]) AND NOT dropped ORDER BY notice.id
"""
_STATUS = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE unanswered > 0) AS unanswered,
    coalesce(extract(epoch FROM clock_timestamp() - min(wanted_at)
        FILTER (WHERE wanted_at <= clock_timestamp() AND unanswered = 0)), 0) AS oldest,
    min(due) FILTER (WHERE due > $1) AS next_due
FROM mail WHERE state = 'waiting'
"""
# From here on the server may have the content.
_HAND_OVER = """
UPDATE mail SET claimed_until = now() + $3::interval, unanswered = unanswered + 1
WHERE id = $1 AND state = 'waiting' AND claimed_until = $2 RETURNING claimed_until, unanswered
"""
# A sent mail is marked even if another replica has claimed it meanwhile: this keeps that replica from sending it too.
_END = """
UPDATE mail SET state = $2, ended_at = clock_timestamp(), answer = $3, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND (claimed_until = $4 OR $2 = 'sent') RETURNING id
"""
_DEFER = """
UPDATE mail SET due = $2, answer = $3, unanswered = $4, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND claimed_until = $5 RETURNING id
"""
# Not tried: it waits for the end of its reader's quiet hours.
_POSTPONE = """
UPDATE mail SET due = $2, wanted_at = greatest(wanted_at, $2), claimed_until = NULL, attempts = attempts - 1
WHERE id = $1 AND state = 'waiting' AND claimed_until = $3
"""
_RELEASE = """
UPDATE mail SET claimed_until = NULL, attempts = attempts - 1
FROM unnest($1::bigint[], $2::timestamptz[]) AS mine(id, claim)
WHERE mail.id = mine.id AND state = 'waiting' AND claimed_until = mine.claim
"""
# The other mails about the tickets of a mail.
_SIBLINGS = """
SELECT other.mail FROM notice AS mine JOIN notice AS other USING (thread)
WHERE mine.mail = $1 AND NOT mine.dropped AND NOT other.dropped AND other.mail <> $1
"""
_HOLD_BACK = f"""
UPDATE mail SET wanted_at = greatest(wanted_at, now() + $2::interval),
    due = greatest(due, now() + $2::interval)
WHERE id IN ({_SIBLINGS}) AND state = 'waiting' AND claimed_until IS NULL
"""
# How its problem is, is known from a later mail: to send it again would only confuse. What else a mail reports, as a
# verdict, no later mail does.
_SUPERSEDE = f"""
UPDATE mail SET state = 'dropped', ended_at = clock_timestamp()
WHERE id IN ({_SIBLINGS}) AND id < $1 AND state = 'waiting' AND claimed_until IS NULL AND unanswered > 0
    AND NOT EXISTS (SELECT FROM notice WHERE notice.mail = mail.id AND NOT dropped AND reason <> ALL($2::text[]))
RETURNING id
"""
_RECORD_OUTAGE = """
UPDATE mail SET answer = $2 WHERE id IN (
    SELECT id FROM mail WHERE state = 'waiting' AND due <= $1 AND claimed_until IS NULL AND to_mail <> ''
        AND answer IS DISTINCT FROM $2
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING id
"""
_RESULTS_OF = """
SELECT name, notice.ticket, key, reason, mail.message_id, role
FROM notice JOIN mail ON mail.id = notice.mail JOIN thread ON thread.id = notice.thread
WHERE mail.id = ANY($1::bigint[]) AND NOT dropped ORDER BY notice.id
"""
# Reasons of mails that say how a problem is.
_STATES = [reason.value for reason in OF_PROBLEM]
# Mails that one statement marks in an outage.
OUTAGE_LIMIT = 500
SUPERSEDED = "a later mail about this ticket was sent"


@dataclass(frozen=True)
class QueueTimes:
    """How long things last.

    `lease`: a claim on a mail that waits for its turn. `hand_over`: the claim while it is sent. `settle`: how long the
    holder of a claim has after a start of the database to mark a mail that it sent. `mail_every`: the minimum time
    between two mails about one ticket.
    """

    lease: timedelta
    hand_over: timedelta
    settle: timedelta
    mail_every: timedelta


@dataclass(frozen=True)
class QueueStatus:
    """How many mails wait, and how many of them only because the server's answer was lost.

    `oldest_seconds`: how late the oldest of the others is. `next_due`: when the next attempt falls due.
    """

    waiting: int
    unanswered: int
    oldest_seconds: float
    next_due: datetime | None


class MailQueue:
    """The mails of all replicas. Results go to `topic`; `published` is called after a commit that has some."""

    def __init__(self, pool: Pool, topic: str, published: Callable[[], None], times: QueueTimes) -> None:
        self._pool, self._topic, self._published, self._times = pool, topic, published, times

    async def claim(self, now: datetime, limit: int) -> tuple[list[Mail], QueueStatus]:
        """Claim mails that are due, in order; and what the queue holds after that."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_CLAIM, now, limit, self._times.lease, self._times.settle)
            mails = await self._with_notices(connection, rows) if rows else []
            return mails, await _status(connection, now)

    async def status(self, now: datetime) -> QueueStatus:
        """What the queue holds."""
        return await _status(self._pool, now)

    async def _with_notices(self, connection: Connection, rows: Sequence[Record]) -> list[Mail]:
        """Read by a statement after the claim: one at the same time could miss what a handler has just committed."""
        notices: dict[int, list[Notice]] = {row["id"]: [] for row in rows}
        for row in await connection.fetch(_NOTICES, list(notices)):
            notices[row["mail"]].append(_notice(row))
        stages = await stages_now.of_stages(connection, {_stage(one) for some in notices.values() for one in some})
        notices = {mail: [_with_now(one, stages) for one in some] for mail, some in notices.items()}
        mails = [_mail(row, notices[row["id"]]) for row in rows]
        return sorted(mails, key=lambda mail: mail.id)

    async def hand_over(self, mail: Mail) -> Mail | None:
        """Claim it for as long as sending can take; None if another replica has taken it over."""
        row = await self._pool.fetchrow(_HAND_OVER, mail.id, mail.claim, self._times.hand_over)
        return replace(mail, claim=row["claimed_until"], unanswered=row["unanswered"]) if row else None

    async def release(self, mails: Sequence[Mail]) -> None:
        """Release claims on mails that were not tried."""
        if mails:
            await self._pool.execute(_RELEASE, [mail.id for mail in mails], [mail.claim for mail in mails])

    async def postpone(self, mail: Mail, until: datetime) -> None:
        """Try it at `until`, as it was not tried now."""
        await self._pool.execute(_POSTPONE, mail.id, until, mail.claim)

    async def defer(self, mail: Mail, due: datetime, answer: str, possibly_delivered: bool, now: datetime) -> None:
        """Try again at `due`, and publish that it waits if `answer` differs from the last one."""
        news = kind_of(answer) != kind_of(mail.answer or "")
        kept = answer if news else mail.answer
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_DEFER, mail.id, due, kept, mail.unanswered, mail.claim) is None:
                return
            if possibly_delivered:
                await connection.execute(_HOLD_BACK, mail.id, self._times.mail_every)
            if news:
                await self._publish(connection, [mail.id], NoticeResult.WAITING, answer, now)
        self._published()

    async def record_outage(self, answer: str, now: datetime) -> None:
        """Publish that all due mails wait, unless they already wait for the same reason."""
        async with self._pool.acquire() as connection, connection.transaction():
            ids = [row["id"] for row in await connection.fetch(_RECORD_OUTAGE, now, answer, OUTAGE_LIMIT)]
            await self._publish(connection, ids, NoticeResult.WAITING, answer, now)
        self._published()

    async def end(self, mail: Mail, result: NoticeResult, answer: str | None, now: datetime) -> bool:
        """Mark a mail as sent or refused, and publish that; False when another replica did so or has claimed it."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_END, mail.id, result.value, answer, mail.claim) is None:
                return False
            await self._publish(connection, [mail.id], result, answer, now)
            if result is NoticeResult.SENT:
                superseded = [row["id"] for row in await connection.fetch(_SUPERSEDE, mail.id, _STATES)]
                await self._publish(connection, superseded, NoticeResult.DROPPED, SUPERSEDED, now)
                await connection.execute(_HOLD_BACK, mail.id, self._times.mail_every)
        self._published()
        return True

    async def _publish(
        self, connection: Connection, mails: Sequence[int], result: NoticeResult, answer: str | None, now: datetime
    ) -> None:
        """One event for each notice of these mails."""
        if mails:
            rows = await connection.fetch(_RESULTS_OF, list(mails))
            await outbox.put(connection, [result_message(self._topic, row, result, answer, now) for row in rows])


def _stage(notice: Notice) -> Stage:
    return notice.facts.pipeline, notice.facts.stage or ""


def _with_now(notice: Notice, stages: StagesNow) -> Notice:
    """Add how the problem stands, while it goes on and where that is newer than what the ticket shows."""
    facts = notice.facts
    rule = stages.rule(facts.pipeline, facts.stage, facts.key)
    known_at = facts.evidence.at if facts.evidence else facts.at
    if rule is None or stages.at is None or stages.at < known_at or facts.problem.cleared_at is not None:
        return notice
    return replace(notice, now=ProblemNow(stages.at, rule))


def _mail(row: Record, notices: Sequence[Notice]) -> Mail:
    report = None if row["report"] is None else ReportData.model_validate(row["report"])
    return Mail(**(dict(row) | {"report": report}), notices=tuple(notices))


async def _status(executor: Executor, now: datetime) -> QueueStatus:
    row = await executor.fetchrow(_STATUS, now)
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return QueueStatus(row["waiting"], row["unanswered"], float(row["oldest"]), row["next_due"])


def _notice(row: Record) -> Notice:
    return Notice(
        ticket=row["ticket"],
        seq=row["seq"],
        reason=NoticeReason(row["reason"]),
        facts=TicketData.model_validate(row["facts"]),
        changes=tuple(CoveredChange.model_validate(change) for change in row["changes"]),
        covered=row["covered"],
        thread=Thread(row["subject"], row["message_id"]),
    )
