"""Writes messages to receivers, in the transaction of the change that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.notifier.domain.mail import notice_name
from services.notifier.hooks import queue
from services.notifier.hooks.message import event_of
from services.notifier.hooks.reasons import HookOccasion, occasion_of
from services.notifier.hooks.receivers.registry import AnyReceiver
from services.notifier.store.notices import News
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData, TicketState
from shared.postgres.pool import Connection


@dataclass(frozen=True)
class HookWriter:
    """Writes to all receivers that want to hear of something."""

    receivers: Sequence[AnyReceiver] = ()

    async def write_change(self, connection: Connection, facts: TicketData, was: TicketState | None) -> None:
        """What a change of a ticket calls for. `was`: its state before."""
        for receiver in self.receivers:
            if link := receiver.link_of(facts, was):
                name = f"andon-{notice_name(facts, f'hook {receiver.name}')}"
                await queue.put(connection, receiver.name, name, facts, facts.change.value, link)
        occasion = occasion_of(facts, was) if self.receivers else None
        if occasion is not None:
            await self._write(connection, News.of(facts), occasion)

    async def write_occasion(self, connection: Connection, news: News) -> None:
        """A reminder or an escalation."""
        await self._write(connection, news, HookOccasion(NoticeReason(news.covered.change)))

    async def _write(self, connection: Connection, news: News, occasion: HookOccasion) -> None:
        facts = news.facts
        about = {facts.pipeline, *facts.pipelines}
        event = event_of(facts, occasion.reason, news.covered)
        for receiver in self.receivers:
            if receiver.wants(about, occasion.reason):
                name = notice_name(facts, f"hook {receiver.name}", news.occasion)
                await queue.put(
                    connection, receiver.name, f"andon-{name}", facts, occasion.reason.value, event, occasion.after
                )
