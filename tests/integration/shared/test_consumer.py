"""The consumer hands out every record: where it starts is told by Postgres, whatever Kafka was told before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import CollectorRegistry

from shared.bus.consumer import BatchConsumer, Handled
from shared.bus.publisher import OutgoingMessage, Publisher
from shared.contracts.topics import EVENTS
from shared.runtime.health import Progress
from shared.runtime.metrics import ConsumerMetrics
from shared.storage import positions
from shared.storage.migrate import migrate, migrations_of
from shared.storage.pool import open_pool
from tests.support.waiting import eventually

COUNT = 400


class Reader:
    """A consumer whose effect is that a record was seen, in one transaction with its position."""

    def __init__(self, kafka: str, topic: str, pool: Any, slow_to_know: float = 0) -> None:
        self.topic, self.pool, self.seen = topic, pool, list[int]()
        self.registry = CollectorRegistry()
        metrics = ConsumerMetrics.of_topics(self.registry, {topic: EVENTS})
        self._slow, self.taking, self.gate = slow_to_know, asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.group = f"{topic}.group"
        self.consumer = BatchConsumer(
            kafka, [topic], self.group, self._take, self._positions, metrics, Progress(), max_records=50
        )

    async def _positions(self) -> dict[TopicPartition, int]:
        await asyncio.sleep(self._slow)
        return await positions.load(self.pool, [self.topic])

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        self.taking.set()
        await self.gate.wait()
        async with self.pool.acquire() as connection, connection.transaction():
            claimed = await positions.claim(connection, records)
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


@pytest.fixture
async def reader(kafka: str, prefix: str, dsn: str) -> Any:
    await migrate(dsn, "flow", [m for m in migrations_of("services.detector") if m.name.startswith("0000")])
    pool = await open_pool(dsn, "flow")
    topic = prefix + EVENTS
    publisher = Publisher(kafka)
    await publisher.publish_all([OutgoingMessage(topic, str(n % 9).encode(), str(n).encode()) for n in range(COUNT)])
    await publisher.stop()

    def make(slow_to_know: float = 0) -> Reader:
        return Reader(kafka, topic, pool, slow_to_know)

    yield make
    await pool.close()


async def all_seen(reader: Reader, count: int = COUNT) -> list[int]:
    async def seen() -> list[int]:
        return sorted(reader.seen)

    return await eventually(seen, lambda numbers: len(numbers) >= count)


async def committed(kafka: str, reader: Reader) -> dict[int, int | None]:
    asking = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=reader.group, enable_auto_commit=False)
    await asking.start()
    places = [TopicPartition(reader.topic, number) for number in range(4)]
    found = {place.partition: await asking.committed(place) for place in places}
    await asking.stop()
    return found


async def commit(kafka: str, reader: Reader, offset: int) -> None:
    """As one that was killed with batches in hand may have left it."""
    ahead = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=reader.group, enable_auto_commit=False)
    await ahead.start()
    places = [TopicPartition(reader.topic, number) for number in range(4)]
    ahead.assign(places)
    await ahead.commit(dict.fromkeys(places, offset))
    await ahead.stop()


async def test_what_was_committed_ahead_of_the_effects_skips_nothing(kafka: str, reader: Callable[..., Reader]) -> None:
    slow = reader(slow_to_know=1.0)
    await commit(kafka, slow, 60)

    async with slow.running():
        assert await all_seen(slow) == list(range(COUNT))


async def test_no_more_is_committed_than_was_handled(kafka: str, reader: Callable[..., Reader]) -> None:
    held = reader()
    held.gate.clear()

    async with held.running():
        await held.taking.wait()
        await held.consumer.hint()
        assert set((await committed(kafka, held)).values()) <= {None, 0}
        held.gate.set()
        await all_seen(held)
        await held.consumer.hint()
        assert sum((await committed(kafka, held)).values()) == COUNT  # type: ignore[arg-type]


async def test_records_that_are_gone_from_the_log_are_passed_over_and_counted(
    kafka: str, reader: Callable[..., Reader]
) -> None:
    one = reader()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    gone = {TopicPartition(one.topic, number): RecordsToDelete(before_offset=10) for number in range(4)}
    await admin.delete_records(gone)
    await admin.close()

    async with one.running():
        await all_seen(one, COUNT - 40)

    assert one.registry.get_sample_value("andon_consumer_gone_records_total", {"topic": EVENTS}) == 40


async def test_behind_tells_what_waits_in_the_partitions_that_are_ours(
    kafka: str, reader: Callable[..., Reader]
) -> None:
    held = reader()
    held.gate.clear()
    # As one that has just gone to another replica.
    held.consumer.handled[TopicPartition(held.topic, 99)] = Handled(0, 0)

    async def behind() -> int:
        return held.consumer.behind

    assert await behind() == 0
    async with held.running():
        await held.taking.wait()
        await eventually(behind, lambda count: count == COUNT)
        held.gate.set()
        await eventually(behind, lambda count: count == 0)
        assert sorted(held.seen) == list(range(COUNT))
