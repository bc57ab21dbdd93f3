"""How far a consumer is behind: as metrics, and as offsets committed to Kafka for lag tools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import chain

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.kafka.records import by_partition
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.stream.assignment import Assignment
from shared.stream.workers import Workers

_log = logger(__name__)
COMMIT_TIMEOUT_SECONDS = 2
# Kafka answers a fetch within half a second, also when there is nothing new. Without an answer for so long, the last
# known high watermark does not count as the end of the log.
FETCHED_SECONDS = 30.0


class LagMonitor:
    """Measures the partitions of one replica."""

    def __init__(
        self,
        kafka: Callable[[], AIOKafkaConsumer | None],
        assignment: Assignment,
        workers: Workers[ConsumerRecord],
        metrics: Mapping[str, ConsumerMetrics],
    ) -> None:
        self._kafka, self._assignment, self._workers, self._metrics = kafka, assignment, workers, metrics
        self._committed: dict[TopicPartition, int] = {}

    def measure(self) -> None:
        """Update the gauges of each topic with an assigned partition whose lag is known."""
        kafka = self._kafka()
        if kafka is None:
            return
        pending = self.pending_since()
        for topic, metrics in self._metrics.items():
            known = [tp for tp in kafka.assignment() if tp.topic == topic and self._is_known(kafka, tp)]
            if known:
                lags = [(self.lag(tp), self._waiting_since(tp, pending)) for tp in known]
                oldest = min((since for lag, since in lags if lag and since), default=0)
                age = max(0.0, time.time() - oldest / 1000) if oldest else 0.0
                metrics.show_lag(sum(lag for lag, _ in lags), age)

    def _is_known(self, kafka: AIOKafkaConsumer, partition: TopicPartition) -> bool:
        """Whether it has a lag, or Kafka has recently confirmed that it has none."""
        fetched_ms = kafka.last_poll_timestamp(partition) or 0
        return self.lag(partition) > 0 or time.time() - fetched_ms / 1000 < FETCHED_SECONDS

    @property
    def behind(self) -> int:
        """Records of this replica's partitions that are not yet handled, up to the last known high watermark."""
        kafka = self._kafka()
        return sum(map(self.lag, kafka.assignment())) if kafka is not None else 0

    def lag(self, partition: TopicPartition) -> int:
        """Records of a partition that are not yet handled, up to the last known high watermark."""
        kafka, position = self._kafka(), self._assignment.handled.get(partition)
        if kafka is None or position is None:
            return 0
        return max(0, (kafka.highwater(partition) or 0) - position.next_offset)

    def pending_since(self) -> dict[TopicPartition, int]:
        """Time in milliseconds of the first record of each partition that is queued or being handled."""
        found: dict[TopicPartition, int] = {}
        for worker in self._workers:
            for partition, records in by_partition(chain(worker.current, worker.waiting)).items():
                found[partition] = records[0].timestamp
        return found

    def is_pending(self, partition: TopicPartition) -> bool:
        """Whether a record of the partition is queued or being handled: usually the first of its worker is one."""
        worker = self._workers.of(partition.partition)
        queued = chain(worker.current, worker.waiting)
        return any((record.topic, record.partition) == partition for record in queued)

    def _waiting_since(self, partition: TopicPartition, pending: Mapping[TopicPartition, int]) -> int:
        """The time of the first waiting record, else of the last one before it; 0: not known."""
        position = self._assignment.handled.get(partition)
        return pending.get(partition) or (position.last_ms if position else 0)

    async def commit(self) -> None:
        """Commit the handled offsets that have changed. No consumer starts from them, so a failure is harmless."""
        kafka, handled = self._kafka(), self._assignment.handled
        self._committed = {tp: offset for tp, offset in self._committed.items() if tp in handled}
        offsets = {tp: position.next_offset for tp, position in handled.items()}
        fresh = {tp: offset for tp, offset in offsets.items() if self._committed.get(tp, 0) != offset}
        if not fresh or kafka is None:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                await kafka.commit(fresh)
            self._committed |= fresh
        except (KafkaError, TimeoutError) as error:
            _log.debug("offsets not committed to Kafka", error=repr(error))
