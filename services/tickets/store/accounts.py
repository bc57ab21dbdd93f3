"""SQL of accounts, and of the links with which they get a password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.access.roles import Role
from services.tickets.access.sessions import digest
from shared.postgres.pool import Executor, Record

_COLUMNS = "id, email, name, role, password, issuer, made_at, disabled_at"
_ADD = """
    INSERT INTO account (email, name, role, password, issuer, subject, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING RETURNING id
"""
_BY_MAIL = f"SELECT {_COLUMNS} FROM account WHERE lower(email) = lower($1)"
_BY_SUBJECT = f"SELECT {_COLUMNS} FROM account WHERE issuer = $1 AND subject = $2"
# An account that was made before its person came from the provider.
_CLAIM = f"""
    UPDATE account SET issuer = $2, subject = $3 WHERE lower(email) = lower($1) AND issuer IS NULL RETURNING {_COLUMNS}
"""
_ALL = f"SELECT {_COLUMNS} FROM account ORDER BY lower(email)"
_ANY = "SELECT EXISTS (SELECT FROM account)"
_RENEW = "UPDATE account SET password = $2 WHERE id = $1"
_SET_ROLE = "UPDATE account SET role = $2 WHERE lower(email) = lower($1) RETURNING id"
_DISABLE = "UPDATE account SET disabled_at = coalesce(disabled_at, $2) WHERE lower(email) = lower($1) RETURNING id"
_ENABLE = "UPDATE account SET disabled_at = NULL WHERE lower(email) = lower($1) RETURNING id"
_ADD_LINK = "INSERT INTO sign_in_link (hash, account, expires_at) VALUES ($1, $2, $3)"
_DROP_LINKS = "DELETE FROM sign_in_link WHERE account IS NOT DISTINCT FROM $1 OR expires_at <= $2"
_WORKS = """
    hash = $1 AND expires_at > $2 AND (account IS NULL OR account IN (SELECT id FROM account WHERE disabled_at IS NULL))
"""
_FIND_LINK = f"SELECT account FROM sign_in_link WHERE {_WORKS}"
_USE_LINK = f"""
    DELETE FROM sign_in_link WHERE {_WORKS} RETURNING account, (SELECT email FROM account AS a WHERE a.id = account)
"""
# Two first admins at once: one waits, and then finds the other.
_FIRST = "SELECT pg_advisory_xact_lock(hashtext('andon first admin'))"


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in. `issuer`: the identity provider that vouches for them; None: none."""

    id: int
    email: str
    name: str
    role: Role
    password: str | None
    issuer: str | None
    made_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class Subject:
    """A person as an identity provider names them."""

    issuer: str
    name: str


@dataclass(frozen=True)
class SignInLink:
    """A link that works once. `account`: None for the first admin's. `email`: of the account, once the link is used."""

    account: int | None
    email: str = ""


async def add(
    executor: Executor,
    email: str,
    name: str,
    role: Role,
    now: datetime,
    password: str | None = None,
    subject: Subject | None = None,
) -> int | None:
    """Make an account; returns its number, None where the mail address or the subject has one."""
    provider = (subject.issuer, subject.name) if subject else (None, None)
    number: int | None = await executor.fetchval(_ADD, email, name, role, password, *provider, now)
    return number


async def by_mail(executor: Executor, email: str) -> Account | None:
    return _account(await executor.fetchrow(_BY_MAIL, email))


async def by_subject(executor: Executor, subject: Subject) -> Account | None:
    return _account(await executor.fetchrow(_BY_SUBJECT, subject.issuer, subject.name))


async def claim(executor: Executor, email: str, subject: Subject) -> Account | None:
    """The account with this mail address that no provider vouches for yet; from now on it is this subject's."""
    return _account(await executor.fetchrow(_CLAIM, email, subject.issuer, subject.name))


async def all_accounts(executor: Executor) -> Sequence[Account]:
    """By mail address, those that are disabled too."""
    return [found for row in await executor.fetch(_ALL) if (found := _account(row))]


async def is_any(executor: Executor) -> bool:
    """Whether anybody has an account."""
    return bool(await executor.fetchval(_ANY))


async def lock_first(executor: Executor) -> None:
    """Let one transaction at a time make the first account."""
    await executor.execute(_FIRST)


async def set_password(executor: Executor, account: int, password: str) -> None:
    await executor.execute(_RENEW, account, password)


async def set_role(executor: Executor, email: str, role: Role) -> int | None:
    """The account's number; None: there is none."""
    number: int | None = await executor.fetchval(_SET_ROLE, email, role)
    return number


async def disable(executor: Executor, email: str, now: datetime) -> int | None:
    """Let an account not sign in any more; its number, None: there is none."""
    number: int | None = await executor.fetchval(_DISABLE, email, now)
    return number


async def enable(executor: Executor, email: str) -> int | None:
    number: int | None = await executor.fetchval(_ENABLE, email)
    return number


async def add_link(executor: Executor, token: str, account: int | None, now: datetime, expires_at: datetime) -> None:
    """Make the one link of an account, or of the first admin, in place of earlier ones."""
    await executor.execute(_DROP_LINKS, account, now)
    await executor.execute(_ADD_LINK, digest(token), account, expires_at)


async def find_link(executor: Executor, token: str, now: datetime) -> SignInLink | None:
    row = await executor.fetchrow(_FIND_LINK, digest(token), now)
    return SignInLink(row["account"]) if row else None


async def use_link(executor: Executor, token: str, now: datetime) -> SignInLink | None:
    """Take a link out of use; None: it is not in use any more."""
    row = await executor.fetchrow(_USE_LINK, digest(token), now)
    return SignInLink(row["account"], row["email"] or "") if row else None


def _account(row: Record | None) -> Account | None:
    return Account(**dict(row) | {"role": Role(row["role"])}) if row else None
