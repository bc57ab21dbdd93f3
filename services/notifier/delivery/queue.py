"""The mails that wait: claimed by one sender each, marked once the server has answered.

Claims go by the database's clock, the only one that all replicas share. The end of a claim also identifies it: whoever
takes one over sets a later end. An expired claim (its process died) is taken over; its mail may have been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notifier.domain.mail import Mail, Notice
from shared.contracts.envelope import content_id
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.tickets import TicketData
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Pool, Record
from shared.stream import outbox

# In order within a ticket. After a start of the database, claims that ran out meanwhile are left alone for $4: their
# holder may have sent the mail and could not mark it.
_CLAIM = """
UPDATE mail SET claimed_until = now() + $3::interval, attempts = attempts + 1,
    possibly_delivered = possibly_delivered OR claimed_until IS NOT NULL
WHERE id IN (
    SELECT id FROM mail AS due_mail
    WHERE state = 'waiting' AND due <= $1
        AND (claimed_until IS NULL OR greatest(claimed_until, pg_postmaster_start_time() + $4::interval) < now())
        AND NOT EXISTS (
            SELECT FROM notice AS mine
            JOIN notice AS other USING (ticket)
            JOIN mail AS earlier ON earlier.id = other.mail
            WHERE mine.mail = due_mail.id AND NOT mine.dropped AND NOT other.dropped
                AND earlier.id < due_mail.id AND earlier.state = 'waiting'
        )
    ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id, message_id, to_name, to_mail, created_at, attempts, claimed_until AS claim
"""
_NOTICES = """
SELECT mail, ticket, seq, reason, facts FROM notice WHERE mail = ANY($1::bigint[]) AND NOT dropped ORDER BY id
"""
_STATUS = """
SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)
    FILTER (WHERE due <= clock_timestamp() OR attempts > 0)), 0) AS oldest, min(due) FILTER (WHERE due > $1) AS next_due
FROM mail WHERE state = 'waiting'
"""
_RENEW = """
UPDATE mail SET claimed_until = now() + $3::interval WHERE id = $1 AND state = 'waiting' AND claimed_until = $2
RETURNING claimed_until
"""
# That a mail was sent counts whoever has claimed it meanwhile: marked at once, it keeps the other from sending it too.
_END = """
UPDATE mail SET state = $2, ended_at = clock_timestamp(), answer = $3, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND (claimed_until = $4 OR $2 = 'sent') RETURNING id
"""
_DEFER = """
UPDATE mail SET due = $2, answer = $3, possibly_delivered = possibly_delivered OR $4, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND claimed_until = $5
"""
_RELEASE = """
UPDATE mail SET claimed_until = NULL, attempts = attempts - 1
FROM unnest($1::bigint[], $2::timestamptz[]) AS mine(id, claim)
WHERE mail.id = mine.id AND state = 'waiting' AND claimed_until = mine.claim
"""


@dataclass(frozen=True)
class QueueStatus:
    """How many mails wait, for how many seconds the oldest that is due, and when the next one falls due."""

    waiting: int
    oldest_seconds: float
    next_due: datetime | None


class MailQueue:
    """The mails of all replicas. Results go to `topic`; `published` is called after a commit that has some.

    `lease`: how long a claim lasts. `settle`: how long the holder of a claim has after a start of the database to mark
    a mail that it sent.
    """

    def __init__(
        self, pool: Pool, topic: str, published: Callable[[], None], lease: timedelta, settle: timedelta
    ) -> None:
        self._pool, self._topic, self._published = pool, topic, published
        self._lease, self._settle = lease, settle

    async def claim(self, now: datetime, limit: int) -> tuple[list[Mail], QueueStatus]:
        """Claim mails that are due, in order; and what the queue holds after that."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_CLAIM, now, limit, self._lease, self._settle)
            mails = await self._with_notices(connection, rows) if rows else []
            status = await connection.fetchrow(_STATUS, now)
            assert status is not None  # noqa: S101 (an aggregate always has a row)
        return mails, QueueStatus(status["waiting"], float(status["oldest"]), status["next_due"])

    async def _with_notices(self, connection: Connection, rows: Sequence[Record]) -> list[Mail]:
        """Read by a statement after the claim: one at the same time could miss what a handler has just committed."""
        notices: dict[int, list[Notice]] = {row["id"]: [] for row in rows}
        for row in await connection.fetch(_NOTICES, list(notices)):
            facts, reason = TicketData.model_validate(row["facts"]), NoticeReason(row["reason"])
            notices[row["mail"]].append(Notice(row["ticket"], row["seq"], reason, facts))
        mails = [Mail(**dict(row), notices=tuple(notices[row["id"]])) for row in rows]
        return sorted(mails, key=lambda mail: mail.id)

    async def renew(self, mail: Mail) -> Mail | None:
        """Renew the claim; None if another replica has taken the mail over."""
        claim = await self._pool.fetchval(_RENEW, mail.id, mail.claim, self._lease)
        return replace(mail, claim=claim) if claim else None

    async def defer(self, mail: Mail, due: datetime, answer: str, possibly_delivered: bool) -> None:
        """Try again at `due`."""
        await self._pool.execute(_DEFER, mail.id, due, answer[:500], possibly_delivered, mail.claim)

    async def release(self, mails: Sequence[Mail]) -> None:
        """Give back what was claimed and not tried."""
        if mails:
            await self._pool.execute(_RELEASE, [mail.id for mail in mails], [mail.claim for mail in mails])

    async def end(self, mail: Mail, result: NoticeResult, answer: str | None, now: datetime) -> bool:
        """Mark a mail as sent or refused, and publish that; False when another replica did so or has claimed it."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_END, mail.id, result.value, answer, mail.claim) is None:
                return False
            await outbox.put(connection, [self._event(mail, notice, result, answer, now) for notice in mail.notices])
        self._published()
        return True

    def _event(
        self, mail: Mail, notice: Notice, result: NoticeResult, answer: str | None, now: datetime
    ) -> OutgoingMessage:
        data = NoticeData(
            notice=notice.name,
            ticket=notice.ticket,
            reason=notice.reason,
            result=result,
            at=now,
            detail=answer,
            message_id=mail.message_id,
        )
        event = NoticeEvent.new(
            id=content_id(notice.name, notice.ticket, result.value, mail.message_id),
            source="andon/notifier",
            subject=str(notice.ticket),
            time=now,
            data=data,
        )
        return OutgoingMessage(self._topic, str(notice.ticket).encode(), event.to_json())
