"""What waits is seen: how much, since when, and whether it is looked what there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.detector.store.watermark import standings
from shared.contracts.topics import EVENTS
from shared.stream.reader import Subscription
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.waiting import eventually

HOUR = 3600


async def test_the_first_batch_that_waits_has_an_age(kafka: str, recorder: Callable[..., Recorder]) -> None:
    before, held = recorder(), recorder()
    async with before.running():
        await all_seen(before)
    held.gate.clear()
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    long_ago = int((time.time() - HOUR) * 1000)
    for _ in range(200):
        await producer.send(held.topic, b"7", partition=1, timestamp_ms=long_ago)
    await producer.stop()

    async def age() -> float:
        return held.registry.get_sample_value("andon_consumer_lag_seconds", {"topic": EVENTS}) or 0

    async with held.running():
        assert await eventually(age, lambda seconds: seconds >= HOUR)


async def test_what_is_never_handed_out_does_not_keep_a_partition_from_its_end(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=one.group)
    await producer.start()
    async with producer.transaction():
        for partition in range(3):
            await producer.send(one.topic, str(COUNT + partition).encode(), partition=partition)
    await producer.stop()

    async def at_end() -> set[int]:
        return {s.partition for s in standings(one.consumer.log_ends(), one.consumer.handled) if s.at_end}

    async with one.running():
        await eventually(at_end, lambda partitions: partitions == {0, 1, 2, 3})
        assert sorted(one.seen) == list(range(COUNT + 3))
        assert one.consumer.behind == 0
    assert one.registry.get_sample_value("andon_consumer_gone_records_total", {"topic": EVENTS}) == 0


async def test_a_partition_that_waits_in_a_lane_is_not_at_its_end(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    held = recorder()
    held.gate.clear()

    async def fetched() -> int:
        return held.consumer.behind

    async with held.running():
        await held.taking.wait()
        await eventually(fetched, lambda count: count == COUNT)
        await asyncio.sleep(2 * Subscription.follow_seconds)
        assert not [s for s in standings(held.consumer.log_ends(), held.consumer.handled) if s.at_end]


async def test_a_log_that_was_let_go_as_a_whole_is_told_and_holds_nobody_up(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(one.topic, n): RecordsToDelete(before_offset=-1) for n in range(4)})
    await admin.close()

    async def at_end() -> int:
        return sum(s.at_end for s in standings(one.consumer.log_ends(), one.consumer.handled))

    async with one.running():
        await eventually(at_end, lambda count: count == 4)

    assert one.registry.get_sample_value("andon_consumer_gone_records_total", {"topic": EVENTS}) == COUNT


async def test_a_lane_is_not_well_where_nobody_looks_what_there_is(
    recorder: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recorder(stuck_poll_seconds=1.0)
    beats: list[str] = []
    async with one.running():
        await all_seen(one)
        # As when aiokafka waits for a group that does not come about.
        monkeypatch.setattr(one.consumer.kafka, "getmany", lambda **_: asyncio.Event().wait())
        monkeypatch.setattr(one.progress, "beat", beats.append)

        async def silent() -> bool:
            before = len(beats)
            await asyncio.sleep(2.5)
            return len(beats) == before

        assert await eventually(silent)
