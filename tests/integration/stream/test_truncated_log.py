"""If Kafka holds less than Postgres remembers, later records are not skipped, and the loss is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.offsets import LogOffsets
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.pool import Pool
from shared.stream import positions
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.topics import make_anew
from tests.support.waiting import eventually

NEW = range(COUNT, COUNT + 60)


class NoEnds(LogOffsets):
    """No leader answers where its log ends."""

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {}


async def publish(kafka: str, topic: str, numbers: range) -> None:
    publisher = Publisher(KafkaAccess(kafka))
    await publisher.publish_all([OutgoingMessage(topic, str(n % 9).encode(), str(n).encode()) for n in numbers])
    await publisher.stop()


async def missing(recorder: Recorder, numbers: range) -> set[int]:
    async def unseen() -> set[int]:
        return set(numbers) - set(recorder.seen)

    return await eventually(unseen, lambda numbers: not numbers)


def gone(recorder: Recorder) -> float:
    return recorder.registry.get_sample_value("andon_consumer_gone_records_total", {"topic": EVENTS}) or 0


async def go_beyond_the_end(pool: Pool) -> None:
    """As after a broker has lost what was written last."""
    await pool.execute("UPDATE position SET next_offset = next_offset + 1000")


async def test_what_comes_after_a_log_has_lost_its_end_is_taken(kafka: str, recorder: Callable[..., Recorder]) -> None:
    before = recorder()
    async with before.running():
        await all_seen(before)
    await go_beyond_the_end(before.pool)
    await publish(kafka, before.topic, NEW)

    after = recorder()
    async with after.running():
        assert not await missing(after, NEW)

    # The log from its beginning; missing records are reported.
    assert sorted(after.seen) == [*range(COUNT), *NEW]
    assert gone(after) == 4 * 1000 - len(NEW)
    stored = await positions.load(after.pool, [after.topic])
    assert sum(position.next_offset for position in stored.values()) == COUNT + len(NEW)


async def test_a_log_that_is_found_to_be_shorter_while_it_is_read_is_read_again(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    # As with a leader that does not answer at the assignment, and another one later that has less of the log.
    before = recorder(offsets=NoEnds)
    async with before.running():
        await all_seen(before)
    await go_beyond_the_end(before.pool)

    after = recorder(offsets=NoEnds)
    async with after.running():
        await all_seen(after)
        await publish(kafka, after.topic, NEW)
        assert not await missing(after, NEW)

    assert sorted(after.seen) == [*range(COUNT), *NEW]
    assert gone(after) == 4


async def test_one_that_was_away_and_goes_on_with_the_old_log_skips_nothing(
    kafka: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder(truncation_check_seconds=1.0)
    async with one.running():
        await all_seen(one)
        # What it had in hand from the old log it has written, long after the new owner began again.
        await go_beyond_the_end(one.pool)
        await publish(kafka, one.topic, NEW)

        assert not await missing(one, NEW)


async def test_a_position_that_has_moved_on_is_not_set_back(recorder: Callable[..., Recorder]) -> None:
    one = recorder()
    place = TopicPartition(one.topic, 0)
    assert await positions.StoredPositions(one.pool, [one.topic]).set_back(place, 0, 3) == 3
    await one.pool.execute("INSERT INTO position VALUES ($1, 0, 70)", one.topic)

    assert await positions.StoredPositions(one.pool, [one.topic]).set_back(place, 60, 3) == 70
    assert await positions.StoredPositions(one.pool, [one.topic]).set_back(place, 70, 3) == 3


@pytest.mark.parametrize("count", [60, 3 * COUNT])
async def test_a_topic_that_was_made_anew_is_read_from_its_beginning_whatever_its_length(
    kafka: str, recorder: Callable[..., Recorder], count: int
) -> None:
    before = recorder()
    async with before.running():
        await all_seen(before)
    new = range(10_000, 10_000 + count)
    await make_anew(kafka, NewTopic(before.topic, 4, 1))
    await publish(kafka, before.topic, new)

    after = recorder()
    async with after.running():
        assert not await missing(after, new)

    assert sorted(after.seen) == list(new)
    assert gone(after) >= 4


@pytest.mark.parametrize(("count", "partitions"), [(60, 4), (3 * COUNT, 4), (60, 2), (3 * COUNT, 2), (60, 6)])
async def test_a_topic_that_is_made_anew_under_a_running_consumer_is_read_whole(
    kafka: str, recorder: Callable[..., Recorder], count: int, partitions: int
) -> None:
    one = recorder(truncation_check_seconds=0.5)
    new = range(10_000, 10_000 + count)

    async def seen_partitions() -> int:
        return one.consumer.partitions(one.topic)

    async with one.running():
        await all_seen(one)
        await make_anew(kafka, NewTopic(one.topic, partitions, 1))
        await publish(kafka, one.topic, new)

        assert not await missing(one, new)
        assert await eventually(seen_partitions, lambda count: count == partitions)
