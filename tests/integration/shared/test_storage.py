"""Migrations, positions and outbox on a real Postgres and Kafka."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import CollectorRegistry

from shared.bus.publisher import OutgoingMessage, Publisher
from shared.contracts.topics import PROBLEMS
from shared.runtime.health import Progress
from shared.runtime.metrics import OutboxMetrics
from shared.storage import outbox
from shared.storage.migrate import Migration, MigrationError, migrate, migrations_of
from shared.storage.pool import open_pool

SHARED_ONLY = [m for m in migrations_of("services.detector") if m.name.startswith("0000")]


async def test_two_processes_may_migrate_at_once(dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(dsn, "flow", SHARED_ONLY) for _ in range(4)))

    assert sorted(map(len, applied)) == [0, 0, 0, 1]


async def test_a_file_changed_after_it_was_applied_is_refused(dsn: str) -> None:
    await migrate(dsn, "flow", SHARED_ONLY)

    with pytest.raises(MigrationError, match="was changed after"):
        await migrate(dsn, "flow", [Migration(SHARED_ONLY[0].name, "SELECT 1")])


async def test_the_relay_keeps_order_and_deletes_only_what_was_acknowledged(dsn: str, kafka: str, prefix: str) -> None:
    await migrate(dsn, "flow", SHARED_ONLY)
    pool = await open_pool(dsn, "flow")
    topic = prefix + PROBLEMS
    messages = [OutgoingMessage(topic, f"k{n % 3}".encode(), str(n).encode()) for n in range(1200)]
    await outbox.put(pool, messages)
    publisher = Publisher(kafka)
    relays = [outbox.Relay(pool, publisher, OutboxMetrics(CollectorRegistry()), Progress()) for _ in range(2)]

    while sum(await asyncio.gather(*(relay.run_once() for relay in relays))):
        pass

    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    got: dict[bytes, list[int]] = {}
    while sum(map(len, got.values())) < len(messages):
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                got.setdefault(record.key, []).append(int(record.value))
    await consumer.stop()
    await publisher.stop()
    assert got == {f"k{k}".encode(): list(range(k, 1200, 3)) for k in range(3)}
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    await pool.close()
