"""Wires the notifier: a consumer that keeps intents, a sender, a relay for results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from starlette.applications import Starlette

from services.notifier.delivery.sender import Sender
from services.notifier.domain.decide import decide
from services.notifier.metrics import NotifierMetrics
from services.notifier.settings import NotifierSettings
from services.notifier.store import notices as store
from shared.contracts.dead import DeadReason
from shared.contracts.tickets import TicketData, TicketEvent
from shared.contracts.topics import TICKETS
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.postgres.pool import open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.stream import dead_letters, outbox, positions
from shared.stream.batches import handle_batch
from shared.stream.consumer import Consumer
from shared.stream.outbox import Relay
from shared.stream.reader import Subscription


class Notifier:
    """The loops of one replica."""

    def __init__(self, settings: NotifierSettings, pool: Any, registry: CollectorRegistry) -> None:
        self._settings, self._pool, self._clock = settings, pool, SystemClock()
        self.progress = Progress()
        self._metrics = NotifierMetrics(registry)
        self._policy = load(settings.policy)
        self._grew_every = timedelta(seconds=settings.notifier_grew_every_seconds)
        self.relay = Relay(pool, Publisher(settings.kafka), OutboxMetrics(registry), self.progress)
        self.sender = Sender(pool, settings, self._policy, self._metrics, self.progress, self._clock, self.relay.wake)
        self._topic = settings.topic(TICKETS)
        self.consumer = Consumer(
            Subscription(settings.kafka, [self._topic], settings.topic("andon-notifier"), max_records=100),
            self._take,
            positions.StoredPositions(pool, [self._topic]),
            ConsumerMetrics.of_topics(registry, {self._topic: TICKETS}),
            self.progress,
        )

    def loops(self) -> Sequence[Any]:
        return (self.consumer.run, self.sender.run, self.relay.run)

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        """The intents of a batch, in one transaction; mails go out only after it."""
        await handle_batch(self._pool, records, self._note_all, self._bury)
        self.sender.wake.set()

    async def _note_all(self, connection: Any, records: Sequence[ConsumerRecord]) -> int:
        claimed = await positions.claim(connection, records)
        dead: list[OutgoingMessage] = []
        for record in claimed:
            try:
                event = TicketEvent.model_validate_json(record.value or b"")
            except ValidationError as error:
                dead.append(self._bury(record, error))
                continue
            await self._note(connection, event.data)
        await outbox.put(connection, dead)
        if claimed:
            await positions.advance(connection, claimed)
        return len(claimed)

    def _bury(self, record: ConsumerRecord, error: Exception) -> OutgoingMessage:
        self._metrics.dead.inc()
        reason, detail = DeadReason.HANDLER, repr(error)
        if isinstance(error, ValidationError):
            reason = DeadReason.BAD_SHAPE
            detail = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5])
        return dead_letters.of_record(record, TICKETS, reason, detail, self._clock.now())

    async def _note(self, connection: Any, about: TicketData) -> None:
        earlier = await store.earlier(connection, about.ticket)
        if about.seq <= earlier.newest:
            # Came a second time: newer mails must not fall away for it.
            return
        decision = decide(about.change, self._clock.now(), earlier, self._grew_every, about.outcome)
        if decision is not None:
            pipeline = self._policy.pipelines.get(about.pipeline)
            await store.write(connection, about, decision, pipeline.owner if pipeline else None)


@asynccontextmanager
async def build(settings: NotifierSettings) -> AsyncIterator[Service]:
    """Connect and put the parts together."""
    pool = await open_pool(settings.dsn, "notices")
    registry = new_registry()
    notifier = Notifier(settings, pool, registry)
    yield Service(Starlette(routes=health_routes(notifier.progress, registry)), notifier.loops())
    await pool.close()


def main() -> None:
    """`andon notifier`."""
    run_service("notifier", NotifierSettings, build)
