"""What is on a topic; topics that are deleted and created again under those who use them."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.waiting import eventually


async def values_of(kafka: str, topic: str) -> list[bytes]:
    """All values that are on a topic, partition by partition."""
    return [record.value for record in await records_of(kafka, topic)]


async def records_of(kafka: str, topic: str) -> list[ConsumerRecord]:
    """All records that are on a topic, partition by partition."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        ends, found = await consumer.end_offsets(list(consumer.assignment())), list[ConsumerRecord]()
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def delete_topics(kafka: str, names: list[str]) -> None:
    """Delete topics, those that are still there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics(names)
    finally:
        await admin.close()


async def make_anew(kafka: str, topic: NewTopic) -> None:
    """Delete a topic and create it again; it is there afterwards, and empty."""
    name = topic.name
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics([name])

        async def topics() -> list[str]:
            return list(await admin.list_topics())

        await eventually(topics, lambda names: name not in names)
        await admin.create_topics([topic])
        await eventually(topics, lambda names: name in names)
    finally:
        await admin.close()
