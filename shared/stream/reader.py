"""Batches in, on FastStream: raw records, manual acknowledgement, offsets from Postgres.

Where a consumer starts is decided by `positions` (the service's own database). What is committed to Kafka is a hint for
lag tools, and never ahead of what is handled: aiokafka fetches from there before it is told where to start.

A log that is shorter than what was read of it (it has lost its end, or was made anew) is read again from its beginning:
which of its records are new, nobody can tell, and ids make it harmless to take the others once more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.offsets import beginning_of, ends_of, stands_at
from shared.kafka.records import by_partition
from shared.postgres.pool import TRANSIENT
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.stream.positions import StoredPositions
from shared.stream.raw_records import parse, undecoded
from shared.stream.rebalance import Listener
from shared.stream.workers import Worker, Workers

_log = logger(__name__)
Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
_TIMESTAMP = attrgetter("timestamp")
POLL_MS = 20
# Small parts of each partition in turn: whole lanes' worth of one after the other would leave the other lanes idle.
FETCHED_BYTES = 128 * 1024
HINT_SECONDS = 2
# It is asked so often whether a log has become shorter than what was read of it.
LOOK_SECONDS = 30.0
# A look at what was fetched comes back at once; one that has not for so long waits for something else.
POLLED_SECONDS = 20.0
# So often it is seen whether there is something that is never handed out.
PASS_SECONDS = 0.5


class Position(NamedTuple):
    """How far a partition is handled: the next offset, and the greatest record time (0: none since the start)."""

    next_offset: int
    last_ms: int


def positions_of(records: Sequence[ConsumerRecord]) -> dict[TopicPartition, Position]:
    """How far these records go. Those of a partition are in order, so its last one tells the offset."""
    return {
        place: Position(some[-1].offset + 1, max(map(_TIMESTAMP, some)))
        for place, some in by_partition(records).items()
    }


class BatchConsumer:
    """Reads topics in batches and hands each to `handle` until it succeeds: nothing is skipped, nothing given up.

    `handle` does everything in one transaction (`positions.claim` ... `positions.advance`). Not promised: that a batch
    is handed out once only. A replica that loses its partitions waits for the batches in hand before it lets them go.

    With more than one lane, so many batches are in hand at once: while the database works on one, the next is read. A
    partition belongs to one lane, which takes its records in their order.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        group: str,
        handle: Handle,
        positions: StoredPositions,
        metrics: dict[str, ConsumerMetrics],
        progress: Progress,
        max_records: int = 500,
        lanes: int = 1,
    ) -> None:
        self._handle, self._positions, self._metrics, self._progress = handle, positions, metrics, progress
        self._lanes = Workers[ConsumerRecord](lanes, max_records)
        self._defect: Exception | None = None
        self.handled: dict[TopicPartition, Position] = {}
        # The next offset that was not handed to a lane; the first after a gap that was asked for once more.
        self._following: dict[TopicPartition, int] = {}
        self._gaps: dict[TopicPartition, int] = {}
        self._hinted: dict[TopicPartition, int] = {}
        # Partitions whose log has become shorter.
        self._shorter: set[TopicPartition] = set()
        # The present look at what was fetched, and that during which each partition was taken up.
        self._polls, self._placed = 0, dict[TopicPartition, int]()
        # Where partitions stand is changed by one at a time.
        self.placing = asyncio.Lock()
        self._looked, self._passed, self._came_back = 0.0, 0.0, time.monotonic()
        self._broker = KafkaBroker(
            bootstrap, logger=logging.getLogger("faststream"), log_level=logging.DEBUG, graceful_timeout=14
        )
        self._subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            max_records=max_records,
            batch_timeout_ms=POLL_MS,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCHED_BYTES,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_500,
            rebalance_timeout_ms=60_000,
            parser=parse,
            decoder=undecoded,
            listener=Listener(self),
        )
        self._subscriber(self._receive)
        self._poll, self._subscriber.get_msg = self._subscriber.get_msg, self._polled  # type: ignore[method-assign]

    @property
    def kafka(self) -> Any:
        """aiokafka's consumer: assignment, positions, high-water marks. None before the start."""
        return self._subscriber.consumer

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 while the broker has not told."""
        return len(self.kafka.partitions_for_topic(topic) or ()) if self.kafka is not None else 0

    async def run(self) -> None:
        """Consume until cancelled; the batch in hand is finished first."""
        for lane in self._lanes:
            self._progress.expect(lane.name, 60)
        workers = [asyncio.ensure_future(self._work(lane)) for lane in self._lanes]
        await self._start()
        try:
            while True:
                if self._defect is not None:
                    raise self._defect
                self._measure()
                self._beat()
                await self.hint()
                await self._look()
                await asyncio.sleep(1)
        finally:
            await self._broker.stop()
            await self.rest()
            for worker in workers:
                worker.cancel()

    async def _start(self) -> None:
        while True:
            try:
                await self._broker.start()
                return
            except (KafkaError, OSError) as error:
                _log.warning("waiting for Kafka", error=str(error))
                await self._broker.stop()
                await asyncio.sleep(1)

    async def rest(self) -> None:
        """Back when no batch is in hand and none waits."""
        await self._lanes.rest()

    def _beat(self) -> None:
        """A lane without work gets on where it is looked what there is, or another has too much of it."""
        looked = time.monotonic() - self._came_back < POLLED_SECONDS
        for lane in self._lanes:
            if lane.idle and (looked or not self._lanes.idle):
                self._progress.beat(lane.name)

    async def _polled(self, consumer: Any) -> tuple[Any, ...]:
        """One look at what was fetched. Where it finds nothing FastStream would tell nobody."""
        self._polls += 1
        records = await self._poll(consumer)
        self._came_back = time.monotonic()
        if self._came_back - self._passed > PASS_SECONDS:
            self._passed = self._came_back
            await self._pass_over({TopicPartition(record.topic, record.partition) for record in records})
        return records

    async def _pass_over(self, came: set[TopicPartition]) -> None:
        """Take as handled what is never handed out: marks of transactions, what was compacted.

        Of partitions of which nothing came just now, all that was handed out is in the lanes: where aiokafka stands
        further, nothing lies between.
        """
        behind = [partition for partition in self._following if partition not in came and self._lag(partition)]
        held = self._held() if behind else {}
        for partition in behind:
            await self._go_on(partition)
            place = self.handled.get(partition)
            if place is not None and partition not in held and self._defect is None:
                self.handled[partition] = place._replace(next_offset=self._following[partition])

    async def _go_on(self, partition: TopicPartition) -> None:
        """Go on from where aiokafka stands; what retention has let go before that is told."""
        following, stands = self._following.get(partition), await stands_at(self.kafka, partition)
        if following is None or stands is None or stands <= following:
            return
        try:
            begin = await beginning_of(self.kafka, partition)
        except (KafkaError, TimeoutError):
            return
        if self._following.get(partition) == following:
            if begin > following:
                self._tell_gone(partition, following, begin)
            self._following[partition] = stands

    def _tell_gone(self, partition: TopicPartition, begin: int, end: int) -> None:
        self._metrics[partition.topic].gone.inc(end - begin)
        _log.warning("records are gone from the log", topic=partition.topic, begin=begin, end=end)

    async def _receive(self, message: KafkaMessage) -> None:
        """Give each lane its part; waits while the lanes have enough."""
        parts: dict[int, list[ConsumerRecord]] = {}
        for place, records in by_partition(message.raw_message).items():
            if self._follows_on(place, records):
                parts.setdefault(place.partition, []).extend(records)
        await self._lanes.put(parts)
        if self._shorter:
            await self._begin_again()

    def _follows_on(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        """Whether nothing lies between these records and those before; else they are read again.

        aiokafka may hand out what it fetched from the committed offset before the listener told it where to start:
        what was looked for meanwhile is asked for once more. A gap that is there again when asked for so is in the log
        itself: retention or compaction took records.
        """
        first, following = records[0].offset, self._following.get(partition)
        if following is None:
            return False
        if self._placed.get(partition) == self._polls:
            self.kafka.seek(partition, following)
            return False
        if first < following:
            self._shorter.add(partition)
            return False
        if first > following and self._gaps.get(partition) != first:
            self._gaps[partition] = first
            self.kafka.seek(partition, following)
            return False
        if first > following:
            self._tell_gone(partition, following, first)
        self._gaps.pop(partition, None)
        self._following[partition] = records[-1].offset + 1
        return True

    async def _begin_again(self) -> None:
        """Go back where aiokafka did: to the beginning, because the log does not reach to where we were."""
        await self.rest()
        async with self.placing:
            shorter, self._shorter = self._shorter & self._following.keys(), set()
            await self.take_up(shorter, shorter)

    async def _look(self) -> None:
        """See whether a log ends before where its partition stands: nothing of it would be taken.

        So it is when one that was away goes on with the old log after others began with the new one.
        """
        if not self._following or self.placing.locked() or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        async with self.placing:
            try:
                async with asyncio.timeout(HINT_SECONDS):
                    known = await self._positions.load()
            except TRANSIENT:
                return
            for partition, end in (await ends_of(self.kafka, list(self._following))).items():
                if known.get(partition, 0) > end:
                    # Its records come once more: they are the sign to begin again, with nothing in hand.
                    self.kafka.seek(partition, 0)

    async def hint(self) -> None:
        """Commit to Kafka what is handled, where that has changed."""
        offsets = {place: handled.next_offset for place, handled in self.handled.items()}
        fresh = {place: offset for place, offset in offsets.items() if self._hinted.get(place, 0) != offset}
        if not fresh or self.kafka is None:
            return
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await self.kafka.commit(fresh)
            self._hinted |= fresh
        except (KafkaError, TimeoutError) as error:
            _log.debug("no hint for lag tools", error=repr(error))

    async def _work(self, lane: Worker[ConsumerRecord]) -> None:
        while True:
            records = await lane.take()
            try:
                if self._defect is None:
                    await self._until_done(lane, records)
                    self._note(records)
            except Exception as error:
                # FastStream would log it and go on with the next batch: `run` ends the process instead.
                self._defect = error
            finally:
                await lane.done()

    async def _until_done(self, lane: Worker[ConsumerRecord], records: Sequence[ConsumerRecord]) -> None:
        delay, started = 0.1, time.perf_counter()
        while True:
            try:
                await self._handle(records)
                break
            except (*TRANSIENT, TimeoutError) as error:
                _log.warning("batch is tried again", error=repr(error), records=len(records))
                self._metrics[records[0].topic].retries.inc()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5)
        self._progress.beat(lane.name)
        metrics = self._metrics[records[0].topic]
        metrics.batch_seconds.observe(time.perf_counter() - started)
        metrics.batch_records.observe(len(records))
        metrics.records.inc(len(records))

    def _note(self, records: Sequence[ConsumerRecord]) -> None:
        for partition, place in positions_of(records).items():
            before = self.handled.get(partition, Position(0, 0))
            next_offset = max(before.next_offset, place.next_offset)
            self.handled[partition] = Position(next_offset, max(before.last_ms, place.last_ms))

    def _measure(self) -> None:
        """Lag by topic, from what the consumer knows anyway."""
        if self.kafka is None:
            return
        held = self._held()
        for topic, metrics in self._metrics.items():
            lags = [(self._lag(tp), self._since(tp, held)) for tp in self.kafka.assignment() if tp.topic == topic]
            metrics.lag_records.set(sum(lag for lag, _ in lags))
            oldest = min((since for lag, since in lags if lag and since), default=0)
            metrics.lag_seconds.set(max(0.0, time.time() - oldest / 1000) if oldest else 0.0)

    def _held(self) -> dict[TopicPartition, int]:
        """The time of the first record of each partition that waits in a lane or is in hand."""
        found: dict[TopicPartition, int] = {}
        for lane in self._lanes:
            for place, records in by_partition(chain(lane.in_hand, lane.waiting)).items():
                found[place] = records[0].timestamp
        return found

    def _since(self, partition: TopicPartition, held: dict[TopicPartition, int]) -> int:
        """Since when records of a partition wait: the first's time, else that of the last before it; 0: not known."""
        place = self.handled.get(partition)
        return held.get(partition) or (place.last_ms if place else 0)

    @property
    def behind(self) -> int:
        """Records of this replica's partitions that are not yet handled, as far as fetches have told."""
        # What is handled may just have gone to another replica: its lag is not ours to ask for.
        return sum(map(self._lag, self.kafka.assignment())) if self.kafka is not None else 0

    def _lag(self, partition: TopicPartition) -> int:
        """Records of a partition not yet handled, as far as fetches have told."""
        place = self.handled.get(partition)
        return max(0, (self.kafka.highwater(partition) or 0) - place.next_offset) if place else 0

    async def take_up(self, partitions: set[TopicPartition], shorter: Iterable[TopicPartition] = ()) -> None:
        """Go to where the database says that each partition stands, however long it takes to tell."""
        while True:
            try:
                await self._seek(partitions, shorter)
                return
            except (*TRANSIENT, KafkaError) as error:
                _log.warning("waiting to know where partitions stand", error=repr(error))
                await asyncio.sleep(0.5)
            except Exception as error:
                # aiokafka and FastStream would log it and go on without: `run` ends the process instead.
                self._defect = error
                return

    async def _seek(self, partitions: set[TopicPartition], shorter: Iterable[TopicPartition]) -> None:
        known = await self._positions.load()
        ends = await ends_of(self.kafka, partitions)
        for partition in partitions:
            start = known.get(partition, 0)
            end = ends.get(partition, start)
            if partition in shorter or start > end:
                start = await self._set_back(partition, start, end)
            self.kafka.seek(partition, start)
            self.handled[partition], self._following[partition] = Position(start, 0), start
            self._placed[partition] = self._polls

    async def _set_back(self, partition: TopicPartition, known: int, end: int) -> int:
        """The log is shorter than what was read of it: begin it again, and tell. Where the partition stands now."""
        stands = await self._positions.set_back(partition, known, await beginning_of(self.kafka, partition))
        # One at least, where it has grown meanwhile.
        self._metrics[partition.topic].gone.inc(max(1, known - end))
        _log.error(
            "the log is shorter than what was read of it: it is read from its beginning",
            topic=partition.topic,
            partition=partition.partition,
            read=known,
            end=end,
            begin=stands,
        )
        return stands

    def let_go(self, partitions: set[TopicPartition]) -> None:
        """Know nothing more of these partitions."""
        for partition in partitions:
            self.handled.pop(partition, None)
            self._following.pop(partition, None)
            self._gaps.pop(partition, None)
            self._hinted.pop(partition, None)
            self._placed.pop(partition, None)
        self._shorter -= partitions
