"""Writes notices: one for each recipient of a ticket who is to hear of a change or of an occasion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.domain.decide import Decision, NoticeHistory
from services.notifier.domain.readers import Addressee, Choice, MailReaders
from services.notifier.publish import result_message
from services.notifier.store import addresses
from services.notifier.store import notices as store
from services.notifier.store.notices import News
from shared.contracts.notices import NoticeResult
from shared.contracts.tickets import TicketData
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Record
from shared.runtime.clock import Clock

NOT_NEEDED = "the ticket changed before it was sent"
# What to do about one recipient, who has had these notices about the ticket; None: nothing.
Decide = Callable[[NoticeHistory, Addressee, datetime], Decision | None]


@dataclass(frozen=True)
class NoticeWriter:
    """Writes to all recipients of a ticket.

    `every`: the minimum time between two mails about one ticket to one recipient. `domain`: of Message-IDs. `topic`: of
    results.
    """

    readers: MailReaders
    every: timedelta
    domain: str
    topic: str
    clock: Clock

    async def choices(self, connection: Connection) -> dict[str, Choice]:
        """What all readers chose; it stays so until the transaction ends."""
        return await addresses.choices(connection, list(self.readers.by_address))

    async def write(
        self, connection: Connection, news: News, choices: dict[str, Choice], decide: Decide
    ) -> list[OutgoingMessage]:
        """Decide about each recipient, and write that. Returns what to publish: which notices were dropped."""
        dropped: list[Record] = []
        for to in self.readers.addressees(news.facts, choices):
            history = await store.history(connection, news.facts, to.reader.address)
            decision = decide(history, to, self.clock.now())
            if decision is not None:
                dropped += await store.apply(connection, news, decision, to, self.domain)
        return self.dropped(dropped, NOT_NEEDED)

    def dropped(self, rows: Sequence[Record], why: str) -> list[OutgoingMessage]:
        """The messages about notices that were dropped."""
        now = self.clock.now()
        return [result_message(self.topic, row, NoticeResult.DROPPED, why, now) for row in rows]

    def waits_from(self, facts: TicketData, now: datetime) -> datetime:
        """From when on the time to acknowledge a ticket counts: when the owner's quiet hours are over."""
        owner = self.readers.addressees(facts, {})[0]
        return owner.reader.after_quiet(now, ())
