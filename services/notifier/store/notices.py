"""SQL of the notices: intents, claims, results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.notifier.domain.decide import Decision, Earlier, Waiting
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData
from shared.policy.model import Owner

_WAITING = """
SELECT id, reason, claimed_until IS NOT NULL OR reached AS taken FROM notice WHERE ticket = $1 AND state = 'waiting'
ORDER BY id FOR UPDATE
"""
_EARLIER = """
SELECT max(written) FILTER (WHERE reason = 'grew' AND state <> 'merged') AS last_grew,
    coalesce(max((about->>'seq')::int), 0) AS newest,
    (array_agg(reason ORDER BY id DESC) FILTER (WHERE state = 'sent'))[1] AS sent
FROM notice WHERE ticket = $1
"""
_INSERT = """
INSERT INTO notice (notice, ticket, seq, reason, to_name, to_mail, about, due)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (notice) DO NOTHING
"""
_INTO = "UPDATE notice SET reason = $2, about = $3 WHERE id = $1 AND (about->>'seq')::int < $4"
_MERGED = "UPDATE notice SET state = 'merged', ended = clock_timestamp() WHERE id = ANY($1::bigint[])"
# In order within a ticket; a claim that was not ended (its process died) is taken up again: it may have been sent.
# Claims go by the database's clock, the only one that all replicas share, and by their end each knows its own: whoever
# takes one over sets a later end. After a start of the database a claim that ran out meanwhile is left alone for $4:
# its holder may have sent the mail and could not mark it.
_CLAIM = """
UPDATE notice SET claimed_until = now() + $3::interval, attempts = attempts + 1,
    reached = reached OR claimed_until IS NOT NULL
WHERE id IN (
    SELECT id FROM notice AS n
    WHERE state = 'waiting' AND due <= $1
        AND (claimed_until IS NULL OR greatest(claimed_until, pg_postmaster_start_time() + $4::interval) < now())
        AND NOT EXISTS (SELECT FROM notice AS e WHERE e.ticket = n.ticket AND e.state = 'waiting' AND e.id < n.id)
    ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id, notice, ticket, seq, reason, to_name, to_mail, about, written, attempts, claimed_until AS claim
"""
_RENEW = """
UPDATE notice SET claimed_until = now() + $3::interval WHERE id = $1 AND state = 'waiting' AND claimed_until = $2
RETURNING claimed_until
"""
# A server's 250 holds whoever has the claim by now: noted at once, it keeps the other from sending.
_END = """
UPDATE notice SET state = $2, ended = clock_timestamp(), answer = $3, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND (claimed_until = $4 OR $2 = 'sent') RETURNING id
"""
_DEFER = """
UPDATE notice SET due = $2, answer = $3, reached = reached OR $4, claimed_until = NULL
WHERE id = $1 AND state = 'waiting' AND claimed_until = $5
"""
_RELEASE = """
UPDATE notice SET claimed_until = NULL, attempts = attempts - 1
FROM unnest($1::bigint[], $2::timestamptz[]) AS mine(id, claim)
WHERE notice.id = mine.id AND state = 'waiting' AND claimed_until = mine.claim
"""
_QUEUE = """
SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(written)
    FILTER (WHERE due <= clock_timestamp() OR attempts > 0)), 0) AS oldest
FROM notice WHERE state = 'waiting'
"""


@dataclass(frozen=True)
class Notice:
    """A mail in hand, until `claim`."""

    id: int
    notice: str
    ticket: int
    seq: int
    reason: NoticeReason
    to_name: str
    to_mail: str
    about: TicketData
    written: datetime
    attempts: int
    claim: datetime


async def earlier(connection: Any, ticket: int) -> Earlier:
    """The mails about a ticket; those that have not gone out are locked."""
    rows = await connection.fetch(_WAITING, ticket)
    waiting = [Waiting(row["id"], NoticeReason(row["reason"]), row["taken"]) for row in rows]
    row = await connection.fetchrow(_EARLIER, ticket)
    return Earlier(waiting, NoticeReason(row["sent"]) if row["sent"] else None, row["last_grew"], row["newest"])


async def write(connection: Any, about: TicketData, decision: Decision, owner: Owner | None) -> None:
    """The intent to tell; without an owner it has no address. A second delivery of the same change writes nothing."""
    data = about.model_dump(mode="json")
    if decision.merged:
        await connection.execute(_MERGED, list(decision.merged))
    if decision.reason is None:
        return
    if decision.into is not None:
        await connection.execute(_INTO, decision.into, decision.reason.value, data, about.seq)
        return
    await connection.execute(
        _INSERT,
        f"{about.ticket}-{about.seq}",
        about.ticket,
        about.seq,
        decision.reason.value,
        owner.name if owner else "",
        owner.mail if owner else "",
        data,
        decision.due,
    )


async def claim(pool: Any, now: datetime, most: int, lasts: timedelta, settle: timedelta) -> list[Notice]:
    """Take mails in hand that are due; claims that ran out only when the database has been up for `settle`."""
    rows = await pool.fetch(_CLAIM, now, most, lasts, settle)
    found = [
        Notice(**{**dict(row), "reason": NoticeReason(row["reason"]), "about": TicketData.model_validate(row["about"])})
        for row in rows
    ]
    return sorted(found, key=lambda notice: notice.id)


async def renew(pool: Any, notice: Notice, lasts: timedelta) -> Notice | None:
    """Keep it in hand from now on; None when another has taken it over."""
    claim = await pool.fetchval(_RENEW, notice.id, notice.claim, lasts)
    return replace(notice, claim=claim) if claim else None


async def end(connection: Any, notice: Notice, state: str, answer: str | None) -> bool:
    """The mail was taken or refused for good; false when another had noted that already, or tries it now."""
    return await connection.fetchval(_END, notice.id, state, answer, notice.claim) is not None


async def defer(pool: Any, notice: Notice, due: datetime, answer: str, reached: bool) -> None:
    """To be tried again. `reached`: the server may have taken it, so it keeps its content under its Message-ID."""
    await pool.execute(_DEFER, notice.id, due, answer[:500], reached, notice.claim)


async def release(pool: Any, notices: list[Notice]) -> None:
    """Give back what was claimed and not tried."""
    if notices:
        await pool.execute(_RELEASE, [notice.id for notice in notices], [notice.claim for notice in notices])


async def queue(pool: Any) -> tuple[int, float]:
    """How many mails wait, and for how many seconds the oldest that is due."""
    row = await pool.fetchrow(_QUEUE)
    return row["waiting"], float(row["oldest"])
