"""Tickets without Kafka: messages as its records, handled, published and read from the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from services.tickets.api.parts import ApiParts
from services.tickets.api.routes import Api
from services.tickets.changes import TicketChanges
from services.tickets.charts.drawing import DRAWINGS
from services.tickets.handlers import TicketHandlers
from services.tickets.metrics import TicketMetrics
from services.tickets.plan_changes import PlanChanges, TicketWriter
from services.tickets.publish import TicketPublisher
from shared.contracts.tickets import TicketEvent
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.health import Progress
from shared.stream.processor import Processor
from shared.stream.transaction import PostgresTransactions

_OFFSETS = count(1_000_000)
TOPICS = {
    "ProblemEvent": "flow.problems",
    "MeasureEvent": "flow.measures",
    "NoticeEvent": "improvement.notices",
    "NowEvent": "flow.now",
    "RelockEvent": "flow.relocks",
}


def record(message: Any, offset: int, partition: int = 0, timestamp: int = 0) -> Any:
    value = message if isinstance(message, bytes) else message.to_json()
    topic = "flow.problems" if isinstance(message, bytes) else TOPICS[type(message).__name__]
    return ConsumerRecord(topic, partition, offset, timestamp, 0, b"k", value, 0, len(value), 0, ())


def records(messages: Iterable[Any]) -> list[Any]:
    """Records after all that were made before, of any topic."""
    return [record(message, next(_OFFSETS)) for message in messages]


def nothing() -> None:
    """Wakes nobody: tests publish when they look."""


class TicketParts:
    """The parts of one replica that need no Kafka."""

    def __init__(self, pool: Pool, policy: Policy, clock: Clock | None = None, draw: Any = DRAWINGS.png) -> None:
        self.policy, self.clock, self.metrics = policy, clock or SystemClock(), TicketMetrics(CollectorRegistry())
        self.pool = pool
        self.changes = TicketChanges(policy, "http://andon.example", self.metrics, self.clock)
        self.writer = TicketWriter(self.changes, PlanChanges(self.changes, policy))
        self.publisher = TicketPublisher(pool, "improvement.tickets", nothing, self.metrics, Progress(), draw)
        self.handlers = TicketHandlers(self.changes, policy, self.clock, nothing)

    def make_api(self, published: Callable[[], None] = nothing) -> Api:
        """The API over these parts."""
        asked = self.pool, self.policy, self.clock, self.writer, nothing, published
        return Api(ApiParts(*asked, relocks_topic="flow.relocks"))

    async def handle(self, *records: Any) -> None:
        await self.processor(self.handlers).run(records)

    def processor(self, handlers: Any) -> Processor[Any]:
        return Processor(
            PostgresTransactions(self.pool), handlers, "", lambda r: self.clock.now(), lambda reason: None, nothing
        )

    async def messages(self) -> Sequence[TicketEvent]:
        """What was published so far."""
        while await self.publisher.run_once():
            pass
        rows = await self.pool.fetch("SELECT value FROM outbox WHERE topic = 'improvement.tickets' ORDER BY id")
        return [TicketEvent.model_validate_json(row["value"]) for row in rows]
