"""Turns changes of tickets into notices. Their mails go out only after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from aiokafka import ConsumerRecord

from services.notifier.domain.decide import decide
from services.notifier.store import notices as store
from services.notifier.store.results import result_event
from shared.contracts.notices import NoticeResult
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent
from shared.contracts.topics import TICKETS
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.stream.processor import Received, contract
from shared.stream.transaction import Transaction

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
        self.decoders = {TICKETS: contract(TicketEvent)}

    async def handle(self, transaction: Transaction, messages: list[Received[TicketEvent]]) -> None:
        """Decide about each change, in order."""
        for message in messages:
            await self._record(transaction, message.message.data)
        transaction.after_commit(self._written)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do."""

    async def _record(self, transaction: Transaction, facts: TicketData) -> None:
        history = await store.history(transaction.connection, facts.ticket)
        if facts.seq <= history.latest_seq:
            # A second delivery must not drop newer notices.
            return
        if facts.actor is Actor.PERSON and facts.change is TicketChange.REOPENED:
            # The problem did not come back: who works on the ticket opened it again.
            return
        now = self._clock.now()
        decision = decide(facts.change, now, history, self._mail_every, facts.outcome)
        if decision is None:
            return
        pipeline = self._policy.pipelines.get(facts.pipeline)
        owner = pipeline.owner if pipeline else None
        dropped = await store.apply(transaction.connection, facts, decision, owner, self._domain)
        await transaction.publish(
            result_event(self._topic, row, NoticeResult.DROPPED, NOT_NEEDED, now) for row in dropped
        )
