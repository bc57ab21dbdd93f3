"""SQL of API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import Role
from services.tickets.access.sessions import digest
from services.tickets.access.tokens import MAX_TOKENS, StoredToken, TokenRefused, TokenWish, highest_scope, new_token
from services.tickets.store import audit
from shared.postgres.pool import Connection, Executor, Record

_FROM = """
SELECT t.id, t.account, t.name, t.role, t.made_at, t.expires_at, t.used_at, a.name AS account_name, a.email,
    a.role AS account_role
FROM api_token AS t JOIN account AS a ON a.id = t.account
"""
_FIND = f"{_FROM} WHERE t.hash = $1 AND t.expires_at > $2 AND a.disabled_at IS NULL"
_ALL = f"{_FROM} WHERE ($1::int IS NULL OR t.account = $1) AND t.expires_at > $2 ORDER BY lower(a.email), t.id"
_LOCK = "SELECT role FROM account WHERE id = $1 AND disabled_at IS NULL FOR UPDATE"
_COUNT = "SELECT count(*) FROM api_token WHERE account = $1 AND expires_at > $2"
_ADD = """
INSERT INTO api_token (hash, account, name, role, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""
_USED = "UPDATE api_token SET used_at = $2 WHERE id = $1"
_REVOKE = "DELETE FROM api_token WHERE id = $1 AND ($2::int IS NULL OR account = $2) RETURNING account"
_REVOKE_ALL = "DELETE FROM api_token WHERE account = $1 RETURNING id"
_FORGET = "DELETE FROM api_token WHERE expires_at <= $1"


async def add(connection: Connection, account: int, wish: TokenWish, now: datetime, by: int | None) -> str:
    """Make a token, and return it: it is kept nowhere. `by`: who asks, for the audit log. Raises TokenRefused."""
    role = await connection.fetchval(_LOCK, account)
    if role is None:
        raise TokenRefused("The account is disabled; let it in again first.")
    if wish.role > highest_scope(Role(role)):
        raise TokenRefused(f"A token may do no more than its account, a {Role(role).name.lower()}; use scope read.")
    if await connection.fetchval(_COUNT, account, now) >= MAX_TOKENS:
        raise TokenRefused(f"An account has at most {MAX_TOKENS} tokens; revoke one that is not used.")
    token, ends = new_token(), wish.expires_at(now)
    number = await connection.fetchval(_ADD, digest(token), account, wish.name, wish.role, now, ends)
    detail = {"token": number, "of": account, "made": wish.scope, "until": ends.isoformat(timespec="seconds")}
    await audit.record(connection, now, AuditEvent.TOKEN_CHANGED, by, **detail)
    return token


async def find(executor: Executor, token: str, now: datetime) -> StoredToken | None:
    """None: there is none, it has expired or was revoked, or its account is disabled."""
    row = await executor.fetchrow(_FIND, digest(token), now)
    return _token(row) if row else None


async def valid(executor: Executor, now: datetime, account: int | None = None) -> Sequence[StoredToken]:
    """The tokens that have not expired, of an account or of all."""
    return [_token(row) for row in await executor.fetch(_ALL, account, now)]


async def used(executor: Executor, number: int, now: datetime) -> None:
    await executor.execute(_USED, number, now)


async def revoke(connection: Connection, number: int, now: datetime, by: int | None) -> bool:
    """Take a token out of use. `by`: whose it must be; None: anybody's. False: there is no such token."""
    account = await connection.fetchval(_REVOKE, number, by)
    if account is None:
        return False
    await audit.record(connection, now, AuditEvent.TOKEN_CHANGED, by, token=number, of=account, revoked=True)
    return True


async def revoke_all(connection: Connection, account: int, now: datetime) -> None:
    """Take all tokens of an account out of use, as it asked for."""
    numbers = sorted(row["id"] for row in await connection.fetch(_REVOKE_ALL, account))
    if numbers:
        await audit.record(connection, now, AuditEvent.TOKEN_CHANGED, account, tokens=numbers, of=account, revoked=True)


async def forget(executor: Executor, now: datetime) -> None:
    """Remove tokens that have expired."""
    await executor.execute(_FORGET, now)


def _token(row: Record) -> StoredToken:
    return StoredToken(**dict(row) | {"role": Role(row["role"]), "account_role": Role(row["account_role"])})
