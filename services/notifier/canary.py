"""The canary in the notifier: a mail for each of its tickets, by the same writer, queue and sender as all mails.

No reminder, report, hook or preference sees it: they read what `NoticeHandler` keeps of tickets, which this one does
not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from services.notifier.delivery.trial_mails import STALE
from services.notifier.domain.decide import Decision, NoticeHistory, decide
from services.notifier.domain.readers import Addressee, MailReaders
from services.notifier.handlers import ConsumedEvent, NoticeHandler
from services.notifier.settings import NotifierSettings
from services.notifier.store.notices import News
from services.notifier.writing import NoticeWriter
from shared.contracts.canary import CANARY
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketData, TicketEvent
from shared.contracts.topics import NOTICES
from shared.policy.canary import canary_policy
from shared.runtime.clock import Clock
from shared.stream.canary import WithCanary
from shared.stream.processor import Decoder, Received
from shared.stream.transaction import Transaction


def is_canary(event: ConsumedEvent) -> bool:
    """Whether a message is about a ticket of the canary."""
    return isinstance(event, TicketEvent) and event.data.pipeline == CANARY


class CanaryNotices:
    """A `Handler`: a notice for each ticket that the canary opens. `written` is called after its commit."""

    def __init__(self, writer: NoticeWriter, written: Callable[[], None]) -> None:
        self._writer, self._written = writer, written
        self.decoders: dict[str, Decoder[ConsumedEvent]] = {}

    async def handle(self, transaction: Transaction, messages: list[Received[ConsumedEvent]]) -> None:
        for change in (one.message.data for one in messages if isinstance(one.message, TicketEvent)):
            if change.change is TicketChange.OPENED and self._writer.clock.now() - change.at < STALE:
                await self._write(transaction, change)
        transaction.after_commit(self._written)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""

    async def _write(self, transaction: Transaction, facts: TicketData) -> None:
        def about(history: NoticeHistory, to: Addressee, now: datetime) -> Decision | None:
            if history.covers(facts.change, facts.seq, facts.at):
                return None
            return decide(facts.change, NoticeReason.OPENED, now, history, self._writer.every, wanted=to.wanted)

        await transaction.publish(await self._writer.write(transaction.connection, News.of(facts), {}, about))


def with_canary(
    own: NoticeHandler, settings: NotifierSettings, clock: Clock, written: Callable[[], None]
) -> WithCanary[ConsumedEvent]:
    """The service's handler, and one that writes to the canary's own address, each time at once."""
    readers = MailReaders(canary_policy(settings.canary_mail))
    writer = NoticeWriter(readers, timedelta(0), settings.domain, settings.topic(NOTICES), clock)
    return WithCanary(own, CanaryNotices(writer, written), is_canary, schema=None)
