"""Mails as pulls: the words of each, at every cord that it was sent to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.tickets.cord.cords import Cords, lock_cord
from services.tickets.cord.mail_text import MailWords, NoText, mail_words
from services.tickets.cord.metrics import CordMetrics, Way
from services.tickets.domain.tokens import new_token
from services.tickets.store import cord_mails
from services.tickets.store.cord_links import CordLink
from shared.runtime.clock import Clock

# A mail: its text, and a picture or two, which are dropped.
MAX_BYTES = 2 * 1024 * 1024


class MailRefused(Exception):
    """The mail pulls no cord, and will not if it comes again. The text is for the sender."""


class MailPulls:
    """Takes mails."""

    def __init__(self, cords: Cords, clock: Clock, metrics: CordMetrics) -> None:
        self._cords, self._clock, self._metrics = cords, clock, metrics

    async def take(self, raw: bytes, found: Sequence[CordLink], way: Way) -> None:
        """Pull the cords of these links, all or none. A mail that did so before does nothing.

        Raises MailRefused, TooOften and LinkRevoked.
        """
        mail = await self._read(raw)
        async with self._cords.connection() as connection, connection.transaction():
            # In one order everywhere, so that two mails do not wait for each other.
            for link in sorted({one.stage_key: one for one in found}.values(), key=lambda one: one.stage_key):
                await lock_cord(connection, link)
                if await cord_mails.is_new(connection, link, _content(mail), self._clock.now()):
                    await self._cords.take(connection, link, mail.pull, new_token(), way)
        self._cords.taken()

    async def _read(self, raw: bytes) -> MailWords:
        """The words of a mail, read in a thread: a hostile one may take long."""
        try:
            mail = await asyncio.to_thread(mail_words, raw)
        except NoText:
            self._metrics.refused.labels("no-text").inc()
            raise MailRefused("the mail has no text of its own; write what you saw") from None
        if mail.is_automatic:
            self._metrics.refused.labels("automatic").inc()
            raise MailRefused("automatic mails pull no cord")
        return mail


def _content(mail: MailWords) -> str:
    """What makes two mails the same one."""
    return "\x00".join((mail.date, mail.pull.deal or "", mail.pull.seen))
