"""Turns changes of tickets into notices. Their mails go out only after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from aiokafka import ConsumerRecord

from services.notifier.domain.decide import decide
from services.notifier.store import notices as store
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent
from shared.contracts.topics import TICKETS
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.stream.processor import Received, contract
from shared.stream.transaction import Transaction


class TicketHandler:
    """Writes the notices that changes call for. `written` is called after a commit that may have made a mail due."""

    def __init__(
        self, policy: Policy, grew_every: timedelta, domain: str, clock: Clock, written: Callable[[], None]
    ) -> None:
        self._policy, self._grew_every, self._domain = policy, grew_every, domain
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
        decision = decide(facts.change, self._clock.now(), history, self._grew_every, facts.outcome)
        if decision is not None:
            pipeline = self._policy.pipelines.get(facts.pipeline)
            owner = pipeline.owner if pipeline else None
            await store.apply(transaction.connection, facts, decision, owner, self._domain)
