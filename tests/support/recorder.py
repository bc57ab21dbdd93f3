"""A consumer whose only effect is that a record was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from prometheus_client import CollectorRegistry

from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.offsets import LogOffsets
from shared.postgres.pool import Pool
from shared.runtime.health import Progress
from shared.runtime.metrics import ConsumerMetrics
from shared.stream import positions
from shared.stream.consumer import Consumer
from shared.stream.reader import Subscription
from tests.support.waiting import eventually

COUNT = 400


class _Slow(positions.StoredPositions):
    """Reports slowly."""

    def __init__(self, pool: Pool, topics: Sequence[str], seconds: float) -> None:
        super().__init__(pool, topics)
        self._seconds = seconds

    async def load(self) -> dict[TopicPartition, positions.StoredPosition]:
        await asyncio.sleep(self._seconds)
        return await super().load()


class Recorder:
    """A consumer whose effect is that a record was seen, in one transaction with its position."""

    def __init__(
        self,
        kafka: str,
        topic: str,
        pool: Pool,
        slow_to_load: float = 0,
        offsets: Callable[[AIOKafkaConsumer], LogOffsets] = LogOffsets,
        positions_type: type[positions.StoredPositions] = positions.StoredPositions,
        fails_with: BaseException | None = None,
        **options: float,
    ) -> None:
        self.topic, self.pool, self.seen = topic, pool, list[int]()
        self.registry, self.progress = CollectorRegistry(), Progress()
        metrics = ConsumerMetrics.of_topics(self.registry, {topic: EVENTS})
        self._fails_with = fails_with
        self.taking, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.group = f"{topic}.group"
        stored = _Slow(pool, [topic], slow_to_load) if slow_to_load else positions_type(pool, [topic])
        self.consumer = Consumer(
            Subscription(KafkaAccess(kafka), [topic], self.group, max_records=50, **options),
            self._take,
            stored,
            metrics,
            self.progress,
            offsets,
        )

    async def _take(self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int]) -> None:
        self.taking.set()
        await self.gate.wait()
        if self._fails_with is not None:
            raise self._fails_with
        async with self.pool.acquire() as connection, connection.transaction():
            claimed = await positions.claim(connection, records, known)
            if claimed:
                await positions.advance(connection, claimed)
        self.seen += [int(record.value) for record in claimed]

    @asynccontextmanager
    async def running(self) -> Any:
        loop = asyncio.ensure_future(self.consumer.run())
        try:
            yield
        finally:
            self.gate.set()
            loop.cancel()
            await asyncio.wait([loop])


async def all_seen(recorder: Recorder, count: int = COUNT) -> list[int]:
    async def seen() -> list[int]:
        return sorted(recorder.seen)

    return await eventually(seen, lambda numbers: len(numbers) >= count)
