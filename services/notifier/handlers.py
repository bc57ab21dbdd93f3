"""Turns changes of tickets into notices. Their mails go out only after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from services.notifier.domain.decide import Decision, NoticeHistory, decide, decide_by_person
from services.notifier.store import notices as store
from services.notifier.store.results import result_event
from shared.contracts.notices import NoticeResult
from shared.contracts.now import NowEvent
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent, TicketState
from shared.contracts.topics import NOW, TICKETS
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.stream import stages_now
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

ConsumedEvent = TicketEvent | NowEvent
# Mails show a few of the worst deals.
NOT_IN_MAILS = {"rules": {"__all__": {"evidence": {"sample", "rest"}}}, "stays": True}
NOT_NEEDED = "the ticket changed before it was sent"


class TicketHandler:
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
        """Decide about each change, in order; keep how stages stand, which mails say while they go out."""
        told = [one.message.data for one in messages if isinstance(one.message, NowEvent)]
        await stages_now.save(transaction.connection, told, NOT_IN_MAILS)
        changes = [one.message.data for one in messages if isinstance(one.message, TicketEvent)]
        for change in changes:
            await self._record(transaction, change)
        if changes:
            transaction.after_commit(self._written)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do."""

    async def _record(self, transaction: Transaction, facts: TicketData) -> None:
        history = await store.history(transaction.connection, facts)
        if history.covers(facts.change, facts.seq, facts.at):
            return
        now = self._clock.now()
        decision = self._decide(facts, now, history)
        if decision is None:
            return
        pipeline = self._policy.pipelines.get(facts.pipeline)
        owner = pipeline.owner if pipeline else None
        dropped = await store.apply(transaction.connection, facts, decision, owner, self._domain)
        await transaction.publish(
            result_event(self._topic, row, NoticeResult.DROPPED, NOT_NEEDED, now) for row in dropped
        )

    def _decide(self, facts: TicketData, now: datetime, history: NoticeHistory) -> Decision | None:
        if facts.actor is Actor.PERSON and facts.change in (TicketChange.REOPENED, TicketChange.UNDONE):
            # The problem did not come back: somebody works on the ticket.
            is_open, is_over = facts.state is not TicketState.CLOSED, facts.problem.cleared_at is not None
            return decide_by_person(is_open, is_over, now, history, self._mail_every)
        return decide(facts.change, now, history, self._mail_every, facts.outcome)
