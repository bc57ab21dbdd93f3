"""A consumer: reader, assignment, workers and lag put together.

Offsets committed to Kafka only inform lag tools. They never run ahead of the handled records, because aiokafka fetches
from there before we seek.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.offsets import LogOffsets
from shared.kafka.records import Position, by_partition
from shared.postgres.pool import TRANSIENT
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.runtime.retry import retry_forever
from shared.stream.assignment import Assignment
from shared.stream.lag import LagMonitor
from shared.stream.log_ends import LogEnd, LogEnds
from shared.stream.positions import PositionsSetBack, StoredPositions
from shared.stream.reader import Callbacks, Reader, Subscription
from shared.stream.workers import Worker, Workers

_log = logger(__name__)
Handle = Callable[[Sequence[ConsumerRecord], Mapping[TopicPartition, int]], Awaitable[None]]
"""Handles records, and gets where the stored positions of their partitions were seen to stand."""


class Consumer:
    """Hands each batch to `handle` until it succeeds; never skips or drops one.

    `handle` does everything in one transaction (see `Processor`). Not promised: that a batch is handed out only once. A
    replica that loses its partitions finishes its current batches before it releases them.
    """

    def __init__(
        self,
        subscription: Subscription,
        handle: Handle,
        positions: StoredPositions,
        metrics: Mapping[str, ConsumerMetrics],
        progress: Progress,
        offsets: Callable[[AIOKafkaConsumer], LogOffsets] = LogOffsets,
    ) -> None:
        self._subscription, self._handle, self._metrics, self._progress = subscription, handle, metrics, progress
        self._reader = Reader(subscription, Callbacks(self._polled, self._receive, self._revoke, self._assign))
        self._workers = Workers[ConsumerRecord](subscription.workers, subscription.max_records)
        self._assignment = Assignment(
            lambda: self.kafka,
            lambda: self._reader.poll,
            offsets,
            positions,
            metrics,
            subscription.truncation_check_seconds,
        )
        self._ends = LogEnds(lambda: self.kafka)
        self._lag = LagMonitor(lambda: self.kafka, self._assignment, self._workers, metrics)
        self._failure: BaseException | None = None
        self._followed_at = 0.0

    @property
    def kafka(self) -> Any:
        """aiokafka's consumer: assignment, positions, high-water marks. None before the start."""
        return self._reader.kafka

    @property
    def handled(self) -> dict[TopicPartition, Position]:
        """How far each partition of this replica is handled."""
        return self._assignment.handled

    @property
    def behind(self) -> int:
        """Records of this replica's partitions that are not yet handled, up to the last known high watermark."""
        return self._lag.behind

    def log_ends(self) -> dict[TopicPartition, LogEnd]:
        """Where the logs of this replica's partitions end, and up to when that is known."""
        return self._ends.observe()

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 until the metadata has arrived."""
        return len(self.kafka.partitions_for_topic(topic) or ()) if self.kafka is not None else 0

    async def run(self) -> None:
        """Consume until cancelled; finish the current batches first. Raises errors that are not transient."""
        for worker in self._workers:
            self._progress.expect(worker.name, 60)
        working = asyncio.ensure_future(self._workers.run(self._work))
        working.add_done_callback(self._workers_ended)
        try:
            await self._reader.start()
            while self._failure is None:
                self._lag.measure()
                self._beat()
                await self.commit_to_kafka()
                await self._assignment.check()
                await asyncio.sleep(1)
            raise self._failure
        finally:
            try:
                await self._reader.stop()
                await self._workers.drain()
            finally:
                working.cancel()

    def _workers_ended(self, working: asyncio.Future[None]) -> None:
        """They end before `run` does only on an error that no guard caught: nothing would be handled any more."""
        if not working.cancelled() and (error := working.exception()) is not None:
            self._failure = self._failure or _first_of(error)

    def _beat(self) -> None:
        """An idle worker makes progress where records are being fetched, or another worker has too many of them."""
        for worker in self._workers:
            if worker.is_idle and (self._reader.is_polling or not self._workers.are_idle):
                self._progress.beat(worker.name)

    async def commit_to_kafka(self) -> None:
        """Commit what is handled to Kafka, for lag tools, where that has changed."""
        await self._lag.commit()

    async def _polled(self, fetched: set[TopicPartition]) -> None:
        """Restart partitions where that is due. Now and then, count as handled what is never handed out.

        That is: markers of transactions, compacted records. Of a partition that this poll brought nothing of, the
        workers have all records before aiokafka's position.
        """
        self._ends.observe()
        if self._assignment.must_restart:
            await self._workers.drain()
            await self._guard(self._assignment.restart_all())
        if time.monotonic() - self._followed_at <= self._subscription.follow_seconds:
            return
        self._followed_at = time.monotonic()
        behind = [tp for tp in self._assignment.cursors if tp not in fetched and self._lag.lag(tp)]
        pending = set(filter(self._lag.is_pending, behind))
        for partition in behind:
            await self._assignment.follow(partition)
            if partition not in pending and self._failure is None:
                self._assignment.record_followed(partition)

    async def _receive(self, batch: Sequence[ConsumerRecord]) -> None:
        """Queue records with their workers; waits while they have enough."""
        parts: dict[int, list[ConsumerRecord]] = {}
        for partition, records in by_partition(batch).items():
            if self._assignment.accept(partition, records):
                parts.setdefault(partition.partition, []).extend(records)
        await self._workers.put(parts)

    async def _work(self, worker: Worker[ConsumerRecord], records: Sequence[ConsumerRecord]) -> None:
        if self._failure is None:
            await self._guard(self._handle_until_done(worker, records))

    async def _handle_until_done(self, worker: Worker[ConsumerRecord], batch: Sequence[ConsumerRecord]) -> None:
        records = self._assignment.pending(batch)
        if not records:
            return
        metrics, started = self._metrics[records[0].topic], time.perf_counter()
        try:
            async for attempt in retry_forever(
                _log, "batch failed, trying again", TRANSIENT, metrics.retries.inc, records=len(records)
            ):
                with attempt:
                    await self._handle(records, self._assignment.known())
        except PositionsSetBack as error:
            _log.error("stored positions were set back, reading again from there", error=str(error))
            self._assignment.restart(records)
            return
        self._assignment.record_handled(records)
        self._progress.beat(worker.name)
        metrics.batch_seconds.observe(time.perf_counter() - started)
        metrics.batch_records.observe(len(records))
        metrics.records.inc(len(records))

    async def _guard(self, step: Awaitable[None]) -> None:
        """aiokafka and FastStream would log an error and go on with the next batch: `run` raises it instead."""
        try:
            await step
        except Exception as error:
            self._failure = error

    async def _revoke(self, partitions: set[TopicPartition]) -> None:
        await self._workers.drain()
        async with self._assignment.lock:
            self._assignment.revoke(partitions)

    async def _assign(self, partitions: set[TopicPartition]) -> None:
        for metrics in self._metrics.values():
            metrics.rebalances.inc()
        async with self._assignment.lock:
            await self._guard(self._assignment.assign(partitions))


def _first_of(error: BaseException) -> BaseException:
    """What a task group raises holds what its tasks raised."""
    return _first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
