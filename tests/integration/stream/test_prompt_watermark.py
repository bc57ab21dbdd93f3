"""After a batch, judgement time reaches the present at once: leaders are asked where the logs end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition

from services.detector.evaluate.activity import Activity
from services.detector.evaluate.loop import WatermarkLoop
from services.detector.settings import DetectorSettings
from services.detector.store.watermark import current_watermark
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.log_ends import LogEndsClient
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.clock import DatabaseClock
from shared.runtime.clock import ClockKind
from tests.support.recorder import COUNT, Recorder, all_seen
from tests.support.waiting import eventually

NOBODY = "127.0.0.1:1"


def leaders_of(kafka: str, clock: Callable[[], float] = time.monotonic) -> LogEndsClient:
    """A client with patience for a busy machine."""
    return LogEndsClient(KafkaAccess(kafka), 60, 60, clock=clock)


class Leaders(LogEndsClient):
    """Counts the questions. `shorter`: logs seem to end so many records earlier, as after they were made anew."""

    def __init__(self, kafka: str, shorter: int = 0) -> None:
        super().__init__(KafkaAccess(kafka), 60, 60)
        self.questions, self._shorter = 0, shorter

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self.questions += 1
        return {tp: end - self._shorter for tp, end in (await super().ends(partitions)).items()}


class WatchedTime:
    """A loop that only marks wake, since the last one of its activity is long ago."""

    def __init__(self, recorder: Recorder, kafka: str, prefix: str, leaders: LogEndsClient) -> None:
        self._seconds = 0.0
        self.activity, self.advanced = Activity(3600, lambda: self._seconds), Activity()
        self._seconds += 60
        settings = DetectorSettings(kafka=kafka, topic_prefix=prefix)
        clock = DatabaseClock(recorder.pool)
        self._pool = recorder.pool
        self._leaders = leaders
        self.loop = WatermarkLoop(
            recorder.pool, recorder.consumer, leaders, settings, self.activity, self.advanced, clock
        )

    def mark(self) -> None:
        """One turn of the loop, and no more: activity is long ago again."""
        self.activity.mark()
        self._seconds += 60

    async def watermark(self) -> int:
        """In microseconds; 0 for none."""
        async with self._pool.acquire() as connection:
            return await current_watermark(connection, ClockKind.WALL) or 0

    async def asks(self) -> int:
        """Judgement time after one turn that asks."""
        await self.loop.run_once(ask=True)
        await self._leaders.close()
        return await self.watermark()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.loop.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def an_instant() -> int:
    """Now in microseconds; it is over when this returns, also for clocks that count milliseconds."""
    instant = int(time.time() * 1_000_000)
    await asyncio.sleep(0.002)
    return instant


async def until_partitions_known(recorder: Recorder) -> None:
    async def partitions() -> int:
        return recorder.consumer.partitions(recorder.topic)

    await eventually(partitions, bool)


async def test_a_mark_brings_judgement_time_to_the_present(
    kafka: str, prefix: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    watch = WatchedTime(one, kafka, prefix, Leaders(kafka))
    async with one.running():
        await all_seen(one)
        await until_partitions_known(one)
        async with watch.running():
            await asyncio.sleep(0.3)
            after = await an_instant()
            assert watch.advanced.marks == 0

            watch.mark()
            await eventually(watch.watermark, lambda instant: instant >= after)

    assert watch.advanced.marks == 1, "evaluation is woken"


async def test_records_that_are_not_handled_hold_judgement_time(
    kafka: str, prefix: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    watch = WatchedTime(one, kafka, prefix, Leaders(kafka))
    async with one.running():
        await all_seen(one)
        await until_partitions_known(one)
        one.gate.clear()
        publisher = Publisher(KafkaAccess(kafka))
        await publisher.publish_all(
            [OutgoingMessage(one.topic, str(n % 9).encode(), str(COUNT + n).encode()) for n in range(9)]
        )
        await publisher.stop()
        asked = await an_instant()

        assert await watch.asks() < asked

        one.gate.set()
        await all_seen(one, COUNT + 9)
        assert await watch.asks() >= asked


async def test_a_log_that_ends_before_what_was_handled_proves_nothing(
    kafka: str, prefix: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    watch = WatchedTime(one, kafka, prefix, Leaders(kafka, shorter=1))
    async with one.running():
        await all_seen(one)
        await until_partitions_known(one)
        asked = await an_instant()
        assert await watch.asks() < asked


async def test_without_an_answer_fetches_show_the_ends_as_before(
    kafka: str, prefix: str, recorder: Callable[..., Recorder]
) -> None:
    one = recorder()
    leaders = Leaders(NOBODY)
    watch = WatchedTime(one, kafka, prefix, leaders)
    async with one.running():
        await all_seen(one)
        await until_partitions_known(one)
        asked = await an_instant()
        await eventually(watch.asks, lambda instant: instant >= asked)
    assert leaders.questions


async def test_leaders_answer_while_fetches_wait(kafka: str, recorder: Callable[..., Recorder]) -> None:
    one = recorder()
    partitions = [TopicPartition(one.topic, number) for number in range(4)]
    leaders = leaders_of(kafka)

    ends = await leaders.ends(partitions)
    again = await leaders.ends(partitions)
    await leaders.close()

    assert sum(ends.values()) == COUNT
    assert again == ends


async def test_leaders_that_did_not_answer_are_left_alone_for_a_while(kafka: str, prefix: str) -> None:
    seconds = [0.0]
    partitions = [TopicPartition(prefix + EVENTS, 0)]
    leaders = leaders_of(NOBODY, lambda: seconds[0])
    seconds[0] = 100
    assert await leaders.ends(partitions) == {}

    # Its broker comes up.
    leaders._kafka = KafkaAccess(kafka)
    seconds[0] = 109
    assert await leaders.ends(partitions) == {}
    seconds[0] = 111
    assert await leaders.ends(partitions) == {partitions[0]: 0}
    await leaders.close()


@pytest.mark.parametrize("partitions", [[], [TopicPartition("no-such-topic", 0)]])
async def test_what_nobody_leads_has_no_end(kafka: str, partitions: list[TopicPartition]) -> None:
    leaders = LogEndsClient(KafkaAccess(kafka), answer_seconds=0.5)

    assert await leaders.ends(partitions) == {}
    await leaders.close()
