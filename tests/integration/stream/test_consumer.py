"""The consumer hands out every record, from its position in Postgres; commits to Kafka do not matter."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import ClassVar

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from shared.contracts.topics import EVENTS
from shared.kafka.records import Position
from shared.stream import positions
from shared.stream.workers import BatchCancelled
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.waiting import eventually


async def committed(kafka: str, recorder: Recorder) -> dict[int, int | None]:
    asking = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=recorder.group, enable_auto_commit=False)
    await asking.start()
    places = [TopicPartition(recorder.topic, number) for number in range(4)]
    found = {place.partition: await asking.committed(place) for place in places}
    await asking.stop()
    return found


async def commit(kafka: str, recorder: Recorder, offset: int) -> None:
    """As one that was killed with batches in hand may have left it."""
    ahead = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=recorder.group, enable_auto_commit=False)
    await ahead.start()
    places = [TopicPartition(recorder.topic, number) for number in range(4)]
    ahead.assign(places)
    await ahead.commit(dict.fromkeys(places, offset))
    await ahead.stop()


async def test_what_was_committed_ahead_of_the_effects_skips_nothing(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    slow = recorder(slow_to_load=1.0)
    await commit(kafka, slow, 60)

    async with slow.running():
        assert await all_seen(slow) == list(range(COUNT))


async def test_no_more_is_committed_than_was_handled(kafka: str, recorder: Callable[..., Recorder]) -> None:
    held = recorder()
    held.gate.clear()

    async with held.running():
        await held.taking.wait()
        await held.consumer.commit_to_kafka()
        assert set((await committed(kafka, held)).values()) <= {None, 0}
        held.gate.set()
        await all_seen(held)
        await held.consumer.commit_to_kafka()
        assert sum((await committed(kafka, held)).values()) == COUNT  # type: ignore[arg-type]


async def test_records_that_are_gone_from_the_log_are_passed_over_and_counted(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    gone = {TopicPartition(one.topic, number): RecordsToDelete(before_offset=10) for number in range(4)}
    await admin.delete_records(gone)
    await admin.close()

    async with one.running():
        await all_seen(one, COUNT - 40)

    assert one.registry.get_sample_value("andon_consumer_gone_records_total", {"topic": EVENTS}) == 40


async def test_a_database_that_cannot_tell_where_partitions_stand_ends_the_process(
    recorder: Callable[..., Recorder],
) -> None:
    class FailsOnce(positions.StoredPositions):
        errors: ClassVar = [asyncpg.UndefinedTableError("no table position")]

        async def load(self) -> dict[TopicPartition, positions.StoredPosition]:
            if self.errors:
                raise self.errors.pop()
            return await super().load()

    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(recorder(positions_type=FailsOnce).consumer.run(), 60)


async def test_behind_tells_what_waits_in_the_partitions_that_are_ours(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    held = recorder()
    held.gate.clear()
    # As one that has just gone to another replica.
    held.consumer.handled[TopicPartition(held.topic, 99)] = Position(0, 0)

    async def behind() -> int:
        return held.consumer.behind

    assert await behind() == 0
    async with held.running():
        await held.taking.wait()
        await eventually(behind, lambda count: count == COUNT)
        held.gate.set()
        await eventually(behind, lambda count: count == 0)
        assert sorted(held.seen) == list(range(COUNT))


async def test_a_full_disk_in_a_handler_ends_the_process_and_is_not_retried_for_ever(
    recorder: Callable[..., Recorder],
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await asyncio.wait_for(recorder(fails_with=full).consumer.run(), 60)


async def test_a_batch_that_is_cancelled_from_within_ends_the_process(recorder: Callable[..., Recorder]) -> None:
    with pytest.raises(BatchCancelled):
        await asyncio.wait_for(recorder(fails_with=asyncio.CancelledError()).consumer.run(), 60)
