"""`andon user`: makes, lists and ends accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.cli.console import OutputForm, aligned, message, print_json, print_line
from services.cli.servers import check_servers
from services.tickets import accounts
from services.tickets.access.roles import Role
from services.tickets.access.tokens import StoredToken, TokenWish
from services.tickets.accounts import PasswordLink
from services.tickets.settings import TicketsSettings
from services.tickets.store.accounts import Account

COLUMNS = ("mail", "name", "role", "signs in", "state")
TOKEN_COLUMNS = ("number", "mail", "name", "scope", "expires", "last used")
Answer = TypeVar("Answer")


def add(email: str, name: str, role: str) -> None:
    """Make an account and print its link. Raises AccountRefused, ServersUnusable."""
    _print(_run(lambda settings: accounts.add(settings, email, name or email, Role[role.upper()])))


def reset(email: str) -> None:
    """Print a link to choose a new password at. Raises AccountRefused, ServersUnusable."""
    _print(_run(lambda settings: accounts.reset(settings, email)))


def first() -> None:
    """Print the link for the first admin. Raises AccountRefused, ServersUnusable."""
    _print(_run(accounts.first))


def set_role(email: str, role: str) -> None:
    """Raises AccountRefused, ServersUnusable."""
    _run(lambda settings: accounts.set_role(settings, email, Role[role.upper()]))


def disable(email: str) -> None:
    """Raises AccountRefused, ServersUnusable."""
    _run(lambda settings: accounts.disable(settings, email))


def enable(email: str) -> None:
    """Raises AccountRefused, ServersUnusable."""
    _run(lambda settings: accounts.enable(settings, email))


def show(form: OutputForm) -> None:
    """Print all accounts."""
    found = _run(accounts.list_all)
    rows = [_row(one) for one in found]
    if form is OutputForm.JSON:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
        return
    if not found:
        message("there are no accounts; andon user first makes a link for the first admin")
        return
    for line in aligned(COLUMNS, rows):
        print_line(line)


def add_token(email: str, name: str, scope: str, days: int) -> None:
    """Make a token and print it. Raises AccountRefused, TokenRefused, ServersUnusable."""
    wish = TokenWish(name, scope, days)
    print_line(_run(lambda settings: accounts.add_token(settings, email, wish)))
    message(f"the token expires in {days} days; it is not shown again")


def revoke_token(number: int) -> None:
    """Raises AccountRefused, ServersUnusable."""
    _run(lambda settings: accounts.revoke_token(settings, number))


def show_tokens(form: OutputForm) -> None:
    """Print the tokens of all accounts."""
    rows = [_token_row(one) for one in _run(accounts.tokens)]
    if form is OutputForm.JSON:
        print_json([dict(zip(TOKEN_COLUMNS, row, strict=True)) for row in rows])
        return
    if not rows:
        message("there are no tokens; andon user token add makes one")
        return
    for line in aligned(TOKEN_COLUMNS, rows):
        print_line(line)


def _run(ask: Callable[[TicketsSettings], Awaitable[Answer]]) -> Answer:
    settings = TicketsSettings.from_environment()
    check_servers(schemas=("tickets",))

    async def asked() -> Answer:
        return await ask(settings)

    return asyncio.run(asked())


def _print(link: PasswordLink) -> None:
    print_line(link.address)
    message(f"the link works once, until {link.expires_at:%Y-%m-%d %H:%M} UTC; it is not shown again")


def _row(account: Account) -> tuple[str, ...]:
    by = account.issuer or ("by password" if account.password else "not yet")
    state = "in force" if account.disabled_at is None else f"disabled {account.disabled_at:%Y-%m-%d}"
    return account.email, account.name, account.role.name.lower(), by, state


def _token_row(token: StoredToken) -> tuple[str, ...]:
    used = f"{token.used_at:%Y-%m-%d}" if token.used_at else "never"
    return str(token.id), token.email, token.name, token.scope, f"{token.expires_at:%Y-%m-%d}", used
