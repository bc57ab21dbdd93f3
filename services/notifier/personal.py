"""What the command line may do with what the notifier keeps of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.notifier.domain.readers import MailReaders
from services.notifier.settings import NotifierSettings
from services.notifier.store import personal
from shared.postgres.command import one_transaction
from shared.stream.policies import policy_of_command


class ForgettingRefused(ValueError):
    """An address cannot be erased now; the text says why and the way out."""


async def export(settings: NotifierSettings, email: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All that is kept of a mail address, by what it is; empty lists where there is nothing."""
    async with one_transaction(settings.dsn, "notices") as connection:
        return await personal.rows(connection, email.lower())


async def forget(settings: NotifierSettings, email: str) -> bool:
    """Erase a mail address; False: nothing was kept of it. Raises ForgettingRefused.

    Not while the policy names it: its choice of no mails would be erased, and mails would go out again.
    """
    address = email.lower()
    if address in MailReaders(await policy_of_command(settings, "notices")).by_address:
        place, then = "the policy in force", "wait a minute"
        if settings.is_policy_a_file:
            place, then = f"the policy {settings.policy}", "restart the notifier"
        raise ForgettingRefused(f"{place} names {email}: take them out there, and {then}; then repeat")
    async with one_transaction(settings.dsn, "notices") as connection:
        if await personal.is_sending(connection, address):
            raise ForgettingRefused(f"a mail to {email} is being sent; repeat this in a few minutes")
        is_known = any((await personal.rows(connection, address)).values())
        await personal.forget(connection, address)
        return is_known
