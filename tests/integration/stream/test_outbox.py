"""The outbox and its relay on a real Postgres and Kafka."""

from __future__ import annotations

import asyncio
import secrets

from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from shared.contracts.topics import PROBLEMS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import open_pool
from shared.runtime.health import Progress
from shared.runtime.metrics import OutboxMetrics
from shared.stream import outbox


async def published(kafka: str, topic: str) -> dict[bytes, list[int]]:
    """The numbers that are on a topic, by their keys."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in range(4)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    found: dict[bytes, list[int]] = {}
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                found.setdefault(record.key, []).append(int(record.value))
    await consumer.stop()
    return found


async def test_the_relay_keeps_order_and_deletes_only_what_was_acknowledged(dsn: str, kafka: str, prefix: str) -> None:
    pool = await open_pool(dsn, "flow")
    topic = prefix + PROBLEMS
    messages = [OutgoingMessage(topic, f"k{n % 3}".encode(), str(n).encode()) for n in range(1200)]
    await outbox.put(pool, messages)
    publisher = Publisher(KafkaAccess(kafka))
    relays = [outbox.Relay(pool, publisher, OutboxMetrics(CollectorRegistry()), Progress()) for _ in range(2)]

    while any(await asyncio.gather(*(relay.run_once() for relay in relays))):
        pass

    got = await published(kafka, topic)
    await publisher.stop()
    assert got == {f"k{k}".encode(): list(range(k, 1200, 3)) for k in range(3)}
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    await pool.close()


async def test_a_message_too_large_for_its_topic_is_kept_and_blocks_nothing(dsn: str, kafka: str, prefix: str) -> None:
    pool = await open_pool(dsn, "flow")
    topic, huge = prefix + PROBLEMS, secrets.token_bytes(2_200_000)
    messages = [OutgoingMessage(topic, f"k{n % 2}".encode(), str(n).encode()) for n in range(10)]
    messages[4] = messages[4]._replace(value=huge)
    await outbox.put(pool, messages)
    publisher, registry = Publisher(KafkaAccess(kafka)), CollectorRegistry()
    relay = outbox.Relay(pool, publisher, OutboxMetrics(registry), Progress())

    assert await relay.run_once() == 10
    await relay.measure()

    # Those beside it may be there twice: which of them the broker had taken is not known.
    got = await published(kafka, topic)
    assert (got[b"k0"][-4:], got[b"k1"][-5:]) == ([0, 2, 6, 8], [1, 3, 5, 7, 9])
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    (row,) = await pool.fetch("SELECT id, topic, key, value, created_at, reason FROM outbox_refused")
    assert (row["id"], row["topic"], row["key"], row["value"]) == (5, topic, b"k0", huge)
    assert "MessageSizeTooLarge" in row["reason"]
    figures = ["andon_outbox_published_total", "andon_outbox_refused"]
    assert [registry.get_sample_value(name) for name in figures] == [9, 1]
    # As docs/operator/runbooks/OutboxRefused.md says.
    await pool.execute(
        "WITH back AS (DELETE FROM outbox_refused RETURNING *)"
        " INSERT INTO outbox (topic, key, value) SELECT topic, key, value FROM back ORDER BY id"
    )
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE value = $1", huge) == 1
    await publisher.stop()
    await pool.close()
