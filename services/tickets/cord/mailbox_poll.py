"""Looks into a mailbox again and again, and takes the mails to cords out of it.

1. A mail to a cord pulls it, in a transaction.
2. Then it is deleted for good: the mailbox is to keep nothing of who sent it. After a crash in between it is read
   again, and `cord_mail` knows that it has pulled the cord.

All other mails are left alone. Replicas may look at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from imaplib import IMAP4

from services.tickets.cord.cords import Cords
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MAX_BYTES, MailPulls, MailRefused
from services.tickets.cord.mailbox import CordMailbox, MailboxAccess, MailboxRefused
from services.tickets.cord.metrics import CordMetrics, Way
from services.tickets.domain.pull_faults import LinkRevoked
from services.tickets.domain.rates import TooOften
from services.tickets.store.cord_links import CordLink
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
# Mails of one look.
MAX_MAILS = 100
FAULTS = (MailboxRefused, OSError, IMAP4.error, *TRANSIENT)


class MailboxPoll:
    """One mailbox. `seconds`: between two looks."""

    def __init__(
        self,
        access: MailboxAccess,
        cords: Cords,
        mails: MailPulls,
        address: CordAddress,
        metrics: CordMetrics,
        seconds: float,
    ) -> None:
        self._access, self._cords, self._mails, self._address = access, cords, mails, address
        self._metrics, self._seconds = metrics, seconds
        # Mails that are to no cord, by number within the mailbox's epoch.
        self._epoch, self._others = "", set[str]()

    async def run(self) -> None:
        """Look until cancelled. What fails is tried again at the next look."""
        while True:
            try:
                await self.look()
            except FAULTS as error:
                self._metrics.mailbox_failures.inc()
                # Its text may name a sender.
                _log.warning("the mailbox of the cords cannot be read", error=type(error).__name__)
            await asyncio.sleep(self._seconds)

    async def look(self) -> int:
        """Take the mails that are there; how many pulled a cord."""
        mailbox = await asyncio.to_thread(CordMailbox, self._access)
        try:
            return await self._take_all(mailbox)
        finally:
            await asyncio.to_thread(mailbox.close)

    async def _take_all(self, mailbox: CordMailbox) -> int:
        numbers = await asyncio.to_thread(mailbox.numbers)
        if mailbox.epoch != self._epoch:
            self._epoch, self._others = mailbox.epoch, set()
        self._others &= set(numbers)
        taken = 0
        for number in [one for one in numbers if one not in self._others][:MAX_MAILS]:
            try:
                taken += await self._take_one(mailbox, number)
            except FAULTS:
                raise
            except Exception as error:
                # A mail that nobody foresaw must not hold up those behind it.
                self._others.add(number)
                _log.error("mail to a cord failed", error=type(error).__name__)
        return taken

    async def _take_one(self, mailbox: CordMailbox, number: str) -> bool:
        """Whether the mail pulled a cord, or never will, and is gone."""
        found = await self._links(await asyncio.to_thread(mailbox.recipients, number))
        if not found:
            self._others.add(number)
            return False
        is_done = await self._take(await asyncio.to_thread(mailbox.content, number, MAX_BYTES), found)
        if is_done:
            await asyncio.to_thread(mailbox.delete, number)
        return is_done

    async def _links(self, addresses: Sequence[str]) -> list[CordLink]:
        """The links in force that a mail is to."""
        tokens = {token for one in addresses if (token := self._address.token_in(one))}
        return [link for token in sorted(tokens) if (link := await self._cords.link(token))]

    async def _take(self, content: bytes, found: Sequence[CordLink]) -> bool:
        """Whether the mail is done with. One that comes too often waits in the mailbox."""
        try:
            await self._mails.take(content, found, Way.IMAP)
        except (TooOften, LinkRevoked):
            return False
        except MailRefused:
            return True
        return True
