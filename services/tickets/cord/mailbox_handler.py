"""Mails to cords in a mailbox: each pulls its cord, and is deleted for good.

The mailbox is to keep nothing of who sent it. One that is read again, after a crash or by another replica, is known by
`cord_mail`, and pulls nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.tickets.cord.cords import Cords
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MAX_BYTES, MailPulls, MailRefused
from services.tickets.cord.metrics import CordMetrics, Way
from services.tickets.domain.pull_faults import LinkRevoked
from services.tickets.domain.rates import TooOften
from services.tickets.store.cord_links import CordLink
from shared.runtime.mailbox_poll import MailOutcome, ReadContent


class CordMailboxHandler:
    """Takes mails that are to a link in force; all others are left alone."""

    name = "cords"

    def __init__(self, cords: Cords, mails: MailPulls, address: CordAddress, metrics: CordMetrics) -> None:
        self._cords, self._mails, self._address, self._metrics = cords, mails, address, metrics

    def failed(self) -> None:
        self._metrics.mailbox_failures.inc()

    async def handle(self, recipients: Sequence[str], read: ReadContent) -> MailOutcome:
        """Pull the cords that a mail is to. One that comes too often waits in the mailbox."""
        found = await self._links(recipients)
        if not found:
            return MailOutcome.OTHER
        try:
            await self._mails.take(await read(MAX_BYTES), found, Way.IMAP)
        except (TooOften, LinkRevoked):
            return MailOutcome.LATER
        except MailRefused:
            return MailOutcome.DONE
        return MailOutcome.DONE

    async def _links(self, addresses: Sequence[str]) -> list[CordLink]:
        """The links in force that a mail is to."""
        tokens = {token for one in addresses if (token := self._address.token_in(one))}
        return [link for token in sorted(tokens) if (link := await self._cords.link(token))]
