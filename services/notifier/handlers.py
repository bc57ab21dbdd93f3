"""Turns changes of tickets into notices. Their mails go out only after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aiokafka import ConsumerRecord

from services.notifier.domain import remind
from services.notifier.domain.decide import Decision, NoticeHistory, decide, decide_by_person
from services.notifier.domain.readers import Addressee, Choice
from services.notifier.domain.reasons import reason_of
from services.notifier.hooks.writing import HookWriter
from services.notifier.present import present
from services.notifier.store import cord_waits, ticket_now
from services.notifier.store.notices import News
from services.notifier.writing import NoticeWriter
from shared.contracts.notices import NoticeReason
from shared.contracts.now import NowEvent
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent, TicketState
from shared.contracts.topics import NOW, TICKETS
from shared.postgres.pool import Connection
from shared.stream import stages_now
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

ConsumedEvent = TicketEvent | NowEvent
# Mails show a few of the worst deals.
NOT_IN_MAILS = {"rules": {"__all__": {"evidence": {"sample", "rest"}}}, "open_since": True, "stays": True}


class NoticeHandler:
    """Writes the notices that changes call for.

    `zone`: of the days of reminders; they follow the log's clock where `follows_log`. `written` is called after a
    commit that may have made a mail or a message to another system due.
    """

    def __init__(
        self, writer: NoticeWriter, hooks: HookWriter, zone: str, follows_log: bool, written: Callable[[], None]
    ) -> None:
        self._writer, self._hooks, self._zone = writer, hooks, zone
        self._follows_log, self._written = follows_log, written
        self.decoders: dict[str, Decoder[ConsumedEvent]] = {
            TICKETS: contract(TicketEvent),
            NOW: contract(NowEvent),
        }

    async def handle(self, transaction: Transaction, messages: list[Received[ConsumedEvent]]) -> None:
        """Decide about each change, in order; save how stages stand, for the mails."""
        standings = [one.message.data for one in messages if isinstance(one.message, NowEvent)]
        await stages_now.save(transaction.connection, standings, NOT_IN_MAILS)
        changes = [one.message.data for one in messages if isinstance(one.message, TicketEvent)]
        if not changes:
            return
        choices = await self._writer.choices(transaction.connection)
        for change in changes:
            await self._record(transaction, change, choices)
        transaction.after_commit(self._written)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""

    async def _record(self, transaction: Transaction, facts: TicketData, choices: dict[str, Choice]) -> None:
        was = await self._keep(transaction.connection, facts)
        await self._hooks.write_change(transaction.connection, facts, was)

        def about(history: NoticeHistory, to: Addressee, now: datetime) -> Decision | None:
            return self._decide(facts, reason_of(facts, was), now, history, to)

        await transaction.publish(await self._writer.write(transaction.connection, News.of(facts), choices, about))

    async def _keep(self, connection: Connection, facts: TicketData) -> TicketState | None:
        """Keep the ticket for reminders and reports; the state before the change."""
        now, home = self._writer.clock.now(), self._writer.readers.home(facts) or ""
        day = remind.today(await present(connection, now, self._follows_log), self._zone)
        await cord_waits.record(connection, facts, now)
        return await ticket_now.save(connection, facts, home, now, self._writer.waits_from(facts, now), day)

    def _decide(
        self,
        facts: TicketData,
        reason: NoticeReason | None,
        now: datetime,
        history: NoticeHistory,
        to: Addressee,
    ) -> Decision | None:
        if history.covers(facts.change, facts.seq, facts.at):
            return None
        every = self._writer.every
        if facts.actor is Actor.PERSON and facts.change in (TicketChange.REOPENED, TicketChange.UNDONE):
            # The problem did not come back: somebody works on the ticket.
            is_open, is_over = facts.state is not TicketState.CLOSED, facts.problem.cleared_at is not None
            return decide_by_person(is_open, is_over, now, history, every)
        return decide(facts.change, reason, now, history, every, facts.outcome, to.wanted)
