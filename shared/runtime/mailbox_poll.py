"""Looks into a mailbox again and again, and hands each mail to a handler.

1. The handler does what a mail asks for, in a transaction.
2. Then the mail is deleted for good. After a crash in between it is read again: the handler must know that it is done.

Mails that are none of the handler's are left alone. Replicas may look at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from imaplib import IMAP4
from typing import Protocol

from shared.runtime.log import logger
from shared.runtime.mailbox import ImapMailbox, MailboxAccess, MailboxRefused

_log = logger(__name__)
# Mails of one look.
MAX_MAILS = 100
MAILBOX_FAULTS = (MailboxRefused, OSError, IMAP4.error)
# Reads the first bytes of a mail, at most so many.
ReadContent = Callable[[int], Awaitable[bytes]]


class MailOutcome(Enum):
    """What became of a mail. `done`: delete it; `later`: try it again; `other`: it is none of the handler's."""

    DONE = auto()
    LATER = auto()
    OTHER = auto()


class MailboxHandler(Protocol):
    """`name`: of the mailbox, in logs."""

    name: str

    async def handle(self, recipients: Sequence[str], read: ReadContent) -> MailOutcome:
        """Handle one mail. What it raises of the poll's `transient` ends the look; all else, this mail."""

    def failed(self) -> None:
        """A look failed."""


class MailboxPoll:
    """One mailbox. `seconds`: between two looks. `transient`: faults of the handler that pass with time."""

    def __init__(
        self,
        access: MailboxAccess,
        handler: MailboxHandler,
        seconds: float,
        transient: tuple[type[Exception], ...],
    ) -> None:
        self._access, self._handler, self._seconds = access, handler, seconds
        self._faults: tuple[type[Exception], ...] = (*MAILBOX_FAULTS, *transient)
        # Mails of others, by number within the mailbox's epoch.
        self._epoch, self._others = "", set[str]()

    async def run(self) -> None:
        """Look until cancelled. What fails is tried again at the next look."""
        while True:
            try:
                await self.look()
            except self._faults as error:
                self._handler.failed()
                # Its text may name a sender.
                _log.warning("mailbox unavailable", mailbox=self._handler.name, error=type(error).__name__)
            await asyncio.sleep(self._seconds)

    async def look(self) -> int:
        """Take the mails that are there; how many were done."""
        mailbox = await asyncio.to_thread(ImapMailbox, self._access)
        try:
            return await self._take_all(mailbox)
        finally:
            await asyncio.to_thread(mailbox.close)

    async def _take_all(self, mailbox: ImapMailbox) -> int:
        numbers = await asyncio.to_thread(mailbox.numbers)
        if mailbox.epoch != self._epoch:
            self._epoch, self._others = mailbox.epoch, set()
        self._others &= set(numbers)
        taken = 0
        for number in [one for one in numbers if one not in self._others][:MAX_MAILS]:
            try:
                taken += await self._take_one(mailbox, number)
            except self._faults:
                raise
            except Exception as error:
                # A mail that nobody foresaw must not hold up those behind it.
                self._others.add(number)
                _log.error("mail cannot be handled", mailbox=self._handler.name, error=type(error).__name__)
        return taken

    async def _take_one(self, mailbox: ImapMailbox, number: str) -> bool:
        """Whether the mail is done with, and deleted."""
        recipients = await asyncio.to_thread(mailbox.recipients, number)
        handled = await self._handler.handle(
            recipients, lambda limit: asyncio.to_thread(mailbox.content, number, limit)
        )
        if handled is MailOutcome.OTHER:
            self._others.add(number)
        if handled is MailOutcome.DONE:
            await asyncio.to_thread(mailbox.delete, number)
        return handled is MailOutcome.DONE
