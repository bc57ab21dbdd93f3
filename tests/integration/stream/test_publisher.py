"""Writing in groups: whoever asks, however much at once, every message is there once and in the order of its key."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.demo.ports import free_port
from shared.contracts.topics import EVENTS, PROBLEMS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher

CALLERS, EACH = 40, 25


async def test_many_at_once_keep_the_order_of_each_key(kafka: str, prefix: str) -> None:
    publisher, topics = Publisher(KafkaAccess(kafka)), [prefix + EVENTS, prefix + PROBLEMS]

    async def caller(number: int) -> None:
        key = f"key-{number}".encode()
        for start in range(0, EACH, 5):
            # Texts so long that a group of them does not fit into one batch.
            some = [f"{n}:".encode() + bytes([65 + n]) * 9000 for n in range(start, start + 5)]
            await publisher.publish_all([OutgoingMessage(topics[number % 2], key, value) for value in some])

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    await publisher.stop()

    found = await _read(kafka, topics, CALLERS * EACH)
    assert found == {f"key-{number}".encode(): list(range(EACH)) for number in range(CALLERS)}


async def test_a_key_has_the_partition_that_other_clients_give_it(kafka: str, prefix: str) -> None:
    keys = [f"crm:{number}".encode() for number in range(60)]
    publisher, other = Publisher(KafkaAccess(kafka)), AIOKafkaProducer(bootstrap_servers=kafka)
    await publisher.publish_all([OutgoingMessage(prefix + EVENTS, key, b"ours") for key in keys])
    await publisher.stop()
    await other.start()
    for key in keys:
        await other.send_and_wait(prefix + EVENTS, b"theirs", key=key)
    await other.stop()

    consumer = AIOKafkaConsumer(prefix + EVENTS, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    places: dict[bytes, set[int]] = {}
    seen = 0
    while seen < 2 * len(keys):
        for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
            seen += len(records)
            for record in records:
                places.setdefault(record.key, set()).add(partition.partition)
    await consumer.stop()
    assert [len(places[key]) for key in keys] == [1] * len(keys)


async def test_all_who_wait_for_a_broker_that_is_not_there_are_told_together() -> None:
    publisher = Publisher(KafkaAccess(f"127.0.0.1:{free_port()}"), deadline_seconds=1)
    message = OutgoingMessage("t", b"k", b"v")

    told = await asyncio.gather(*(publisher.publish_all([message]) for _ in range(30)), return_exceptions=True)

    assert [type(one) for one in told] == [TimeoutError] * 30
    with pytest.raises(TimeoutError):
        await publisher.publish_all([message])


async def _read(kafka: str, topics: list[str], count: int) -> dict[bytes, list[int]]:
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[bytes, list[int]] = {}
    while sum(map(len, found.values())) < count:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                found.setdefault(record.key, []).append(int(record.value.partition(b":")[0]))
    await consumer.stop()
    return found
