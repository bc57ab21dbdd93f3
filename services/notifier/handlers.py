"""Turns changes of tickets into notices. Their mails go out only after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from services.notifier.domain.decide import Decision, NoticeHistory, decide, decide_by_person
from services.notifier.publish import result_message
from services.notifier.store import notices as store
from shared.contracts.notices import NoticeResult
from shared.contracts.now import NowEvent
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent, TicketState
from shared.contracts.topics import NOW, TICKETS
from shared.policy import Policy
from shared.policy.model import Owner
from shared.runtime.clock import Clock
from shared.stream import stages_now
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

ConsumedEvent = TicketEvent | NowEvent
# Mails show a few of the worst deals.
NOT_IN_MAILS = {"rules": {"__all__": {"evidence": {"sample", "rest"}}}, "open_since": True, "stays": True}
NOT_NEEDED = "the ticket changed before it was sent"


class NoticeHandler:
    """Writes the notices that changes call for.

    `mail_every`: the minimum time between two mails about one ticket. `topic`: of results. `written` is called after a
    commit that may have made a mail due.
    """

    def __init__(
        self,
        policy: Policy,
        mail_every: timedelta,
        domain: str,
        topic: str,
        clock: Clock,
        written: Callable[[], None],
    ) -> None:
        self._policy, self._mail_every, self._domain, self._topic = policy, mail_every, domain, topic
        self._clock, self._written = clock, written
        self.decoders: dict[str, Decoder[ConsumedEvent]] = {
            TICKETS: contract(TicketEvent),
            NOW: contract(NowEvent),
        }

    async def handle(self, transaction: Transaction, messages: list[Received[ConsumedEvent]]) -> None:
        """Decide about each change, in order; save how stages stand, for the mails."""
        standings = [one.message.data for one in messages if isinstance(one.message, NowEvent)]
        await stages_now.save(transaction.connection, standings, NOT_IN_MAILS)
        changes = [one.message.data for one in messages if isinstance(one.message, TicketEvent)]
        for change in changes:
            await self._record(transaction, change)
        if changes:
            transaction.after_commit(self._written)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""

    async def _record(self, transaction: Transaction, facts: TicketData) -> None:
        history = await store.history(transaction.connection, facts)
        if history.covers(facts.change, facts.seq, facts.at):
            return
        now = self._clock.now()
        decision = self._decide(facts, now, history)
        if decision is None:
            return
        dropped = await store.apply(transaction.connection, facts, decision, self._owner(facts), self._domain)
        await transaction.publish(
            result_message(self._topic, row, NoticeResult.DROPPED, NOT_NEEDED, now) for row in dropped
        )

    def _owner(self, facts: TicketData) -> Owner | None:
        """Of the ticket's pipeline; for a source, of the policy's first pipeline that has deals of it, else the first.

        A notice has one recipient.
        """
        known = self._policy.pipelines
        if facts.source is None:
            return known[facts.pipeline].owner if facts.pipeline in known else None
        fed = [pipeline for name, pipeline in known.items() if name in facts.pipelines]
        return next(iter([*fed, *known.values()])).owner

    def _decide(self, facts: TicketData, now: datetime, history: NoticeHistory) -> Decision | None:
        if facts.actor is Actor.PERSON and facts.change in (TicketChange.REOPENED, TicketChange.UNDONE):
            # The problem did not come back: somebody works on the ticket.
            is_open, is_over = facts.state is not TicketState.CLOSED, facts.problem.cleared_at is not None
            return decide_by_person(is_open, is_over, now, history, self._mail_every)
        return decide(facts.change, now, history, self._mail_every, facts.outcome)
