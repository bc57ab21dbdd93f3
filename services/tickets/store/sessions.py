"""SQL of sessions, and of visits to the identity provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.tickets.access.roles import Role
from services.tickets.access.sessions import SessionLimits, StoredSession, digest
from shared.postgres.pool import Executor

_BEGIN = "INSERT INTO session (hash, account, began_at, seen_at) VALUES ($1, $2, $3, $3)"
_FIND = """
    SELECT account, name, email, role, began_at, seen_at FROM session JOIN account ON account.id = session.account
    WHERE hash = $1 AND disabled_at IS NULL
"""
_SEEN = "UPDATE session SET seen_at = $2 WHERE hash = $1"
_END = "DELETE FROM session WHERE hash = $1"
_END_ALL = "DELETE FROM session WHERE account = $1"
_COUNT = "SELECT count(*) FROM session WHERE account = $1"
_FORGET = "DELETE FROM session WHERE seen_at <= $1 OR began_at <= $2"
_LEAVE = "INSERT INTO provider_visit (hash, nonce, verifier, back_to, expires_at) VALUES ($1, $2, $3, $4, $5)"
_RETURN = "DELETE FROM provider_visit WHERE hash = $1 AND expires_at > $2 RETURNING nonce, verifier, back_to"
_FORGET_VISITS = "DELETE FROM provider_visit WHERE expires_at <= $1"


@dataclass(frozen=True)
class ProviderVisit:
    """What the answer of an identity provider must fit to, and where the browser wanted to go."""

    nonce: str
    verifier: str
    back_to: str


async def begin(executor: Executor, secret: str, account: int, now: datetime) -> None:
    await executor.execute(_BEGIN, digest(secret), account, now)


async def find(executor: Executor, secret: str) -> StoredSession | None:
    """The session of a secret, whether it is over or not; None: there is none, or its account is disabled."""
    row = await executor.fetchrow(_FIND, digest(secret))
    return StoredSession(**dict(row) | {"role": Role(row["role"])}) if row else None


async def seen(executor: Executor, secret: str, now: datetime) -> None:
    """It was used."""
    await executor.execute(_SEEN, digest(secret), now)


async def end(executor: Executor, secret: str) -> None:
    await executor.execute(_END, digest(secret))


async def end_all(executor: Executor, account: int) -> None:
    """Sign an account out everywhere."""
    await executor.execute(_END_ALL, account)


async def count(executor: Executor, account: int) -> int:
    """In how many browsers an account is signed in."""
    found: int = await executor.fetchval(_COUNT, account)
    return found


async def forget(executor: Executor, now: datetime, limits: SessionLimits) -> None:
    """Remove sessions that are over, and visits that never came back."""
    await executor.execute(_FORGET, now - limits.idle, now - limits.absolute)
    await executor.execute(_FORGET_VISITS, now)


async def leave(executor: Executor, state: str, visit: ProviderVisit, expires_at: datetime) -> None:
    """A browser goes to the identity provider; `state` comes back with it."""
    await executor.execute(_LEAVE, digest(state), visit.nonce, visit.verifier, visit.back_to, expires_at)


async def come_back(executor: Executor, state: str, now: datetime) -> ProviderVisit | None:
    """Take a visit up, once; None: it is unknown, over, or was taken up already."""
    row = await executor.fetchrow(_RETURN, digest(state), now)
    return ProviderVisit(**dict(row)) if row else None
