"""What the command line may do with what the notifier keeps of a person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.notifier.domain.readers import MailReaders
from services.notifier.settings import NotifierSettings
from services.notifier.store import personal
from shared.policy import load
from shared.postgres.pool import Connection, open_pool


class ForgettingRefused(ValueError):
    """An address cannot be erased now; the text says why and the way out."""


async def export(settings: NotifierSettings, email: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All that is kept of a mail address, by what it is; empty lists where there is nothing."""
    async with _transaction(settings) as connection:
        return await personal.rows(connection, email.lower())


async def forget(settings: NotifierSettings, email: str) -> bool:
    """Erase a mail address; False: nothing was kept of it. Raises ForgettingRefused.

    Not while the policy names it: its choice of no mails would be erased, and mails would go out again.
    """
    address = email.lower()
    if address in MailReaders(load(settings.policy)).by_address:
        raise ForgettingRefused(
            f"the policy {settings.policy} names {email}: take them out there, and restart the notifier; then repeat"
        )
    async with _transaction(settings) as connection:
        if await personal.is_sending(connection, address):
            raise ForgettingRefused(f"a mail to {email} is being sent; repeat this in a few minutes")
        is_known = any((await personal.rows(connection, address)).values())
        await personal.forget(connection, address)
        return is_known


@asynccontextmanager
async def _transaction(settings: NotifierSettings) -> AsyncIterator[Connection]:
    pool = await open_pool(settings.dsn, "notices", max_size=1)
    try:
        async with pool.acquire() as connection, connection.transaction():
            yield connection
    finally:
        await pool.close()
