"""What the command line may do with accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.tickets.access.audit import AuditEvent, AuditRow
from services.tickets.access.names import UnusableName, check_mail_address, check_name
from services.tickets.access.roles import Role
from services.tickets.access.sessions import new_secret
from services.tickets.access.sign_in import LINK_LASTS
from services.tickets.access.tokens import StoredToken, TokenWish
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts, api_tokens, audit, personal, sessions
from services.tickets.store.accounts import Account
from shared.postgres.command import one_transaction
from shared.postgres.pool import Connection, Executor
from shared.runtime.clock import SystemClock


class AccountRefused(ValueError):
    """What was asked cannot be done; the text says why and the way out."""


@dataclass(frozen=True)
class PasswordLink:
    """A link to choose a password at, which works once. Its secret is kept nowhere."""

    address: str
    expires_at: datetime


async def add(settings: TicketsSettings, email: str, name: str, role: Role) -> PasswordLink:
    """Make an account. Raises AccountRefused."""
    now = SystemClock().now()
    try:
        check_mail_address(email)
        check_name(name)
    except UnusableName as error:
        raise AccountRefused(str(error)) from None
    async with one_transaction(settings.dsn, "tickets") as connection:
        number = await accounts.add(connection, email, name, role, now)
        if number is None:
            raise AccountRefused(f"{email} has an account already; see andon user list")
        await _record(connection, number, made=role.name.lower())
        return await _link(connection, settings, number, now)


async def reset(settings: TicketsSettings, email: str) -> PasswordLink:
    """Let somebody choose a new password. Raises AccountRefused. The old one works until then."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        found = await accounts.by_mail(connection, email)
        if found is None:
            raise unknown(email)
        return await _link(connection, settings, found.id, SystemClock().now())


async def first(settings: TicketsSettings) -> PasswordLink:
    """The link for the first admin. Raises AccountRefused where there are accounts."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        if await accounts.is_any(connection):
            raise AccountRefused("there are accounts already; make another with andon user add MAIL --role admin")
        return await _link(connection, settings, None, SystemClock().now())


async def list_all(settings: TicketsSettings) -> Sequence[Account]:
    async with one_transaction(settings.dsn, "tickets") as connection:
        return await accounts.all_accounts(connection)


async def set_role(settings: TicketsSettings, email: str, role: Role) -> None:
    """Raises AccountRefused."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        number = await accounts.set_role(connection, email, role)
        if number is None:
            raise unknown(email)
        await _record(connection, number, role=role.name.lower())


async def disable(settings: TicketsSettings, email: str) -> None:
    """Sign somebody out everywhere, for good. Raises AccountRefused."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        number = await accounts.disable(connection, email, SystemClock().now())
        if number is None:
            raise unknown(email)
        await sessions.end_all(connection, number)
        await _record(connection, number, disabled=True)


async def enable(settings: TicketsSettings, email: str) -> None:
    """Let somebody who was disabled sign in again. Raises AccountRefused."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        number = await accounts.enable(connection, email)
        if number is None:
            raise unknown(email)
        await _record(connection, number, disabled=False)


async def add_token(settings: TicketsSettings, email: str, wish: TokenWish) -> str:
    """Make an API token for an account, and return it: it is kept nowhere. Raises AccountRefused, TokenRefused."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        found = await accounts.by_mail(connection, email)
        if found is None:
            raise unknown(email)
        return await api_tokens.add(connection, found.id, wish, SystemClock().now(), None)


async def tokens(settings: TicketsSettings) -> Sequence[StoredToken]:
    """The tokens of all accounts that have not expired."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        return await api_tokens.valid(connection, SystemClock().now())


async def revoke_token(settings: TicketsSettings, number: int) -> None:
    """Raises AccountRefused."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        if not await api_tokens.revoke(connection, number, SystemClock().now(), None):
            raise AccountRefused(f"there is no token {number}; see andon user token list")


async def export(settings: TicketsSettings, email: str) -> Mapping[str, Any]:
    """All that is kept of a person, but for hashes. The audit log says that an account was exported.

    `account`: None where there is none. `answers`: of mail servers, as tickets show them, that name the address.
    """
    async with one_transaction(settings.dsn, "tickets") as connection:
        found: dict[str, Any] = {"account": None, "answers": await personal.answers(connection, email)}
        account = await personal.account(connection, email)
        if account is None:
            return found
        number = account["number"]
        kept = await personal.rows(connection, number)
        await audit.record(connection, SystemClock().now(), AuditEvent.EXPORTED, None, changed=number)
    return found | {"account": dict(account) | {"role": Role(account["role"]).name.lower()}} | dict(kept)


async def forget(settings: TicketsSettings, email: str) -> bool:
    """Remove an account with all that it has, and answers of mail servers that name the address.

    What it did to tickets stays, by nobody. False: there is nothing.
    """
    async with one_transaction(settings.dsn, "tickets") as connection:
        had_answers = await personal.forget_answers(connection, email)
        number = await personal.forget(connection, email)
        if number is not None:
            await _record(connection, number, forgotten=True)
        return had_answers or number is not None


async def audit_rows(settings: TicketsSettings) -> list[AuditRow]:
    """The whole audit log."""
    async with one_transaction(settings.dsn, "tickets") as connection:
        return [row async for row in audit.rows(connection)]


async def _record(connection: Connection, account: int, **detail: object) -> None:
    """Write a change of an account down. Whoever uses the command line has no account."""
    now = SystemClock().now()
    await audit.record(connection, now, AuditEvent.ACCOUNT_CHANGED, None, changed=account, **detail)


async def _link(executor: Executor, settings: TicketsSettings, account: int | None, now: datetime) -> PasswordLink:
    secret, expires_at = new_secret(), now + LINK_LASTS
    await accounts.add_link(executor, secret, account, now, expires_at)
    return PasswordLink(f"{settings.tickets_url.rstrip('/')}/sign-in/link/{secret}", expires_at)


def unknown(email: str) -> AccountRefused:
    """There is nobody with this mail address."""
    return AccountRefused(f"{email} has no account; see andon user list")
