"""The partitions assigned to a replica: the cursor and the handled position of each.

Postgres decides where a partition starts. A truncated log (it lost its end, or the topic was recreated) is read again
from its beginning: nothing shows which of its records are new, and ids make it harmless to handle a record twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.kafka.offsets import LogOffsets
from shared.kafka.records import Position, positions_of
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.runtime.retry import retry_forever
from shared.stream.cursor import PartitionCursor, Restart, SeekTo
from shared.stream.positions import StoredPositions
from shared.stream.truncation import LogTruncation

_log = logger(__name__)


class Assignment:
    """Implements the protocol of `cursor` on aiokafka's consumer. `lock` is held while partitions change."""

    def __init__(
        self,
        kafka: Callable[[], AIOKafkaConsumer],
        poll: Callable[[], int],
        offsets: Callable[[AIOKafkaConsumer], LogOffsets],
        positions: StoredPositions,
        metrics: Mapping[str, ConsumerMetrics],
        truncation_check_seconds: float,
    ) -> None:
        self._kafka, self._poll, self._offsets = kafka, poll, offsets
        self._positions, self._metrics = positions, metrics
        self._truncation = LogTruncation(kafka, offsets, positions, metrics, truncation_check_seconds)
        self._truncated: set[TopicPartition] = set()
        self.cursors: dict[TopicPartition, PartitionCursor] = {}
        self.handled: dict[TopicPartition, Position] = {}
        self.lock = asyncio.Lock()

    async def assign(self, partitions: Iterable[TopicPartition], truncated: Collection[TopicPartition] = ()) -> None:
        """Go to where the database says that each partition stands, however long it takes to answer."""
        async for attempt in retry_forever(
            _log, "waiting for the positions of partitions", (*TRANSIENT, KafkaError), lambda: None, 0.5, 0.5
        ):
            with attempt:
                await self._seek(set(partitions), truncated)

    async def _seek(self, partitions: set[TopicPartition], truncated: Collection[TopicPartition]) -> None:
        stored = await self._positions.load()
        ends = await self._offsets(self._kafka()).ends(partitions)
        for partition in partitions:
            start = stored.get(partition, 0)
            end = ends.get(partition, start)
            if partition in truncated or start > end:
                start = await self._truncation.set_back(partition, start, end)
            self._kafka().seek(partition, start)
            self.handled[partition] = Position(start, 0)
            self.cursors[partition] = PartitionCursor(start, assigned_in_poll=self._poll())

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """Forget these partitions."""
        for partition in partitions:
            self.cursors.pop(partition, None)
            self.handled.pop(partition, None)
        self._truncated.difference_update(partitions)

    def accept(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        """Whether these records are to be handled now; else they are fetched again, or belong to another replica."""
        cursor = self.cursors.get(partition)
        if cursor is None:
            return False
        expected, decision = cursor.next_offset, cursor.accept(records[0].offset, records[-1].offset, self._poll())
        if isinstance(decision, SeekTo):
            self._kafka().seek(partition, decision.offset)
            return False
        if isinstance(decision, Restart):
            self._truncated.add(partition)
            return False
        self._report_missing(partition, expected, decision.missing)
        return True

    def _report_missing(self, partition: TopicPartition, begin: int, count: int) -> None:
        if not count:
            return
        self._metrics[partition.topic].missing.inc(count)
        _log.warning("records are missing from the log", topic=partition.topic, begin=begin, count=count)

    def record_handled(self, records: Sequence[ConsumerRecord]) -> None:
        """These records are committed."""
        for partition, position in positions_of(records).items():
            before = self.handled.get(partition, Position(0, 0))
            self.handled[partition] = Position(*map(max, before, position))

    def record_followed(self, partition: TopicPartition) -> None:
        """All records before the partition's cursor are handled, or never handed out."""
        position = self.handled.get(partition)
        if position is not None:
            self.handled[partition] = position._replace(next_offset=self.cursors[partition].next_offset)

    @property
    def is_truncated(self) -> bool:
        """Whether a log was truncated: call `restart_truncated` once no batch is being handled."""
        return bool(self._truncated)

    async def restart_truncated(self) -> None:
        """Read truncated logs from their beginnings, where aiokafka stands already."""
        async with self.lock:
            truncated, self._truncated = self._truncated & self.cursors.keys(), set()
            await self.assign(truncated, truncated)

    async def check_truncation(self) -> None:
        """Check from time to time for truncated logs that no fetch shows."""
        await self._truncation.check(self.cursors.keys(), self.lock)

    async def follow(self, partition: TopicPartition) -> None:
        """Let the cursor follow aiokafka over offsets that are never handed out."""
        cursor = self.cursors.get(partition)
        expected = cursor.next_offset if cursor is not None else 0
        offsets = self._offsets(self._kafka())
        position = await offsets.position(partition)
        if cursor is None or position is None or position <= expected:
            return
        try:
            beginning = await offsets.beginning(partition)
        except (KafkaError, TimeoutError):
            return
        if self.cursors.get(partition) is cursor and cursor.next_offset == expected:
            self._report_missing(partition, expected, cursor.follow(position, beginning))
