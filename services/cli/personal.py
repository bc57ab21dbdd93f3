"""`andon user export` and `forget`: what all services keep of a person."""

from __future__ import annotations

import asyncio

from services.cli.console import print_json
from services.cli.servers import check_servers
from services.notifier import personal as notifier
from services.notifier.settings import NotifierSettings
from services.tickets import accounts
from services.tickets.settings import TicketsSettings


def export(email: str) -> None:
    """Print it as JSON. Raises AccountRefused where there is nothing, ServersUnusable."""
    tickets, notices = _settings()

    async def found() -> dict[str, object]:
        mail = await notifier.export(notices, email)
        account = await accounts.export(tickets, email)
        if not any((*account.values(), *mail.values())):
            raise accounts.unknown(email)
        return dict(account) | {"mail": dict(mail)}

    print_json(asyncio.run(found()))


def forget(email: str) -> None:
    """Erase it. Raises AccountRefused where there is nothing, ForgettingRefused, ServersUnusable."""
    tickets, notices = _settings()

    async def erase() -> None:
        # First what may be refused. Each can be repeated.
        was_reader = await notifier.forget(notices, email)
        had_account = await accounts.forget(tickets, email)
        if not (was_reader or had_account):
            raise accounts.unknown(email)

    asyncio.run(erase())


def _settings() -> tuple[TicketsSettings, NotifierSettings]:
    settings = TicketsSettings.from_environment(), NotifierSettings.from_environment()
    check_servers(schemas=("tickets",))
    return settings
