"""Reading what a topic held, while Kafka lets go of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.topic_range import topic_range

EACH = 50


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def topic(kafka: str, prefix: str) -> str:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=prefix)
    await producer.start()
    async with producer.transaction():
        for number in range(4 * EACH):
            await producer.send(prefix + EVENTS, b"x", partition=number % 4)
    await producer.stop()
    return prefix + EVENTS


async def read(kafka: str, topic: str, admin: AIOKafkaAdminClient, before: list[int]) -> tuple[list[int], int]:
    """How many of each partition are read, in order, and how many are reported as gone.

    While the first partition is read Kafka lets go of what others hold before these offsets.
    """
    found: Counter[int] = Counter()
    done = 0
    async with topic_range(KafkaAccess(kafka), topic, datetime.now(UTC) - timedelta(hours=1)) as held:
        async for partition, records, done in held.batches():  # noqa: B007
            if not found:
                others = [TopicPartition(topic, number) for number in range(4) if number != partition]
                gone = dict(zip(others, map(RecordsToDelete, before), strict=False))
                await admin.delete_records(gone)
            found[partition] += len(records)
        assert done == held.total
        return sorted(found.values()), held.missing


async def test_all_is_read_and_marks_are_not_gone(kafka: str, topic: str, admin: AIOKafkaAdminClient) -> None:
    assert await read(kafka, topic, admin, []) == ([EACH] * 4, 0)


async def test_what_is_let_go_meanwhile_costs_no_more_than_itself(
    kafka: str, topic: str, admin: AIOKafkaAdminClient
) -> None:
    assert await read(kafka, topic, admin, [20, EACH]) == ([0, EACH - 20, EACH, EACH], 20 + EACH)
