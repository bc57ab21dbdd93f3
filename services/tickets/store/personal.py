"""SQL of what is kept of one person, to show it to them and to erase it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.postgres.pool import Executor

# Without what only the database may know: hashes of the password, of sessions and of links.
_ACCOUNT = """
SELECT id AS number, email AS mail, name, role, issuer, subject, password IS NOT NULL AS has_password, made_at,
    disabled_at
FROM account WHERE lower(email) = lower($1)
"""
_PARTS = {
    "sessions": "SELECT began_at, seen_at FROM session WHERE account = $1 ORDER BY began_at",
    "links": "SELECT expires_at FROM sign_in_link WHERE account = $1 ORDER BY expires_at",
    "tokens": """
        SELECT id AS number, name, role, made_at, expires_at, used_at FROM api_token WHERE account = $1 ORDER BY id
    """,
    "requests": "SELECT key, asked_at, status FROM api_answer WHERE account = $1 ORDER BY asked_at",
    "calendar": "SELECT made_at, used_on FROM calendar_link WHERE account = $1",
    "changes": "SELECT ticket, seq, change, at, reason FROM change WHERE account = $1 ORDER BY ticket, seq",
    "policies": "SELECT version, at, why FROM policy_change WHERE account = $1 ORDER BY version",
    "audit": """
        SELECT id AS number, at, event, account, detail FROM audit
        WHERE account = $1 OR detail -> 'changed' = to_jsonb($1) ORDER BY id
    """,
}
_ANSWERS = "FROM notice WHERE position(lower($1) IN lower(detail)) > 0"
_READ_ANSWERS = f"SELECT ticket, reason, result, at, detail {_ANSWERS} ORDER BY at"
_FORGET_ANSWERS = f"UPDATE notice SET detail = NULL WHERE notice IN (SELECT notice {_ANSWERS}) RETURNING notice"
# Sessions, links, calendar and tokens go with it; changes of tickets stay, by nobody.
_FORGET = "DELETE FROM account WHERE lower(email) = lower($1) RETURNING id"


async def account(executor: Executor, email: str) -> Mapping[str, Any] | None:
    """The account, without its password; None: there is none."""
    row = await executor.fetchrow(_ACCOUNT, email)
    return dict(row) if row else None


async def rows(executor: Executor, number: int) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All rows that name an account by its number, by what they are."""
    return {name: [dict(row) for row in await executor.fetch(sql, number)] for name, sql in _PARTS.items()}


async def forget(executor: Executor, email: str) -> int | None:
    """Remove an account with its sessions, links, calendar and tokens; its number, None: there is none."""
    number: int | None = await executor.fetchval(_FORGET, email)
    return number


async def answers(executor: Executor, email: str) -> Sequence[Mapping[str, Any]]:
    """The answers of mail servers that name a mail address."""
    return [dict(row) for row in await executor.fetch(_READ_ANSWERS, email)]


async def forget_answers(executor: Executor, email: str) -> bool:
    """Erase them; False: there are none."""
    return bool(await executor.fetch(_FORGET_ANSWERS, email))
