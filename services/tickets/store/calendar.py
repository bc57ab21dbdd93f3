"""SQL of calendars: the link of each account, known by the hash of its token, and the tickets with due dates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.tickets.access.audit import AuditEvent
from services.tickets.access.sessions import digest, new_secret
from services.tickets.store import audit
from shared.postgres.pool import Connection, Executor

# A new one takes the place of the one before it.
_MAKE = """
INSERT INTO calendar_link (account, hash, made_at) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE SET hash = excluded.hash, made_at = excluded.made_at, used_on = NULL
"""
_REVOKE = "DELETE FROM calendar_link WHERE account = $1 RETURNING account"
_FIND = """
SELECT account, email, used_on FROM calendar_link JOIN account ON account.id = calendar_link.account
WHERE hash = $1 AND disabled_at IS NULL
"""
_USED = "UPDATE calendar_link SET used_on = $2 WHERE account = $1"
_STATE = "SELECT made_at, used_on FROM calendar_link WHERE account = $1"
# Problems of a source name their pipelines themselves.
_DUE = """
SELECT id FROM ticket
WHERE (state IN ('planned', 'doing', 'verifying')
        OR (outcome IN ('verified', 'not-shown', 'restored') AND decision IS NULL))
    AND ($1::text[] IS NULL OR pipeline = ANY($1) OR problem -> 'pipelines' ?| $1)
ORDER BY id
"""


@dataclass(frozen=True)
class CalendarReader:
    """Whose calendar a token opens."""

    account: int
    email: str
    used_on: date | None


@dataclass(frozen=True)
class CalendarLink:
    """What its account sees of it. `used_on`: the last day on which a program read the calendar."""

    made_at: datetime
    used_on: date | None


async def make(connection: Connection, account: int, now: datetime) -> str:
    """Make the link of an account anew, and return its token: it is kept nowhere."""
    token = new_secret()
    await connection.execute(_MAKE, account, digest(token), now)
    await audit.record(connection, now, AuditEvent.TOKEN_CHANGED, account, calendar="made")
    return token


async def revoke(connection: Connection, account: int, now: datetime) -> bool:
    """Take the link of an account out of use; False: it has none."""
    if await connection.fetchval(_REVOKE, account) is None:
        return False
    await audit.record(connection, now, AuditEvent.TOKEN_CHANGED, account, calendar="revoked")
    return True


async def state(executor: Executor, account: int) -> CalendarLink | None:
    """The link of an account; None: it has none."""
    row = await executor.fetchrow(_STATE, account)
    return CalendarLink(**dict(row)) if row else None


async def find(executor: Executor, token: str) -> CalendarReader | None:
    """None: there is no such token, it was revoked, or its account is disabled."""
    row = await executor.fetchrow(_FIND, digest(token))
    return CalendarReader(**dict(row)) if row else None


async def used(executor: Executor, account: int, day: date) -> None:
    await executor.execute(_USED, account, day)


async def due(executor: Executor, pipelines: Collection[str] | None) -> Sequence[int]:
    """The tickets with a plan to carry out, a study to end, or a verdict to decide on; None: of all pipelines."""
    rows = await executor.fetch(_DUE, None if pipelines is None else list(pipelines))
    return [row["id"] for row in rows]
