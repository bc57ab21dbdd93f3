"""The partitions assigned to a replica: the cursor and the handled position of each.

Postgres decides where a partition starts, and where it goes on when the stored position was set back: then Postgres
lost its last commits, and what they held is read again. A truncated log is read from its beginning (see `truncation`).
In both cases the partition is revoked in effect, its queued batches are dropped, and it is assigned again.
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
from shared.stream.positions import NOT_STORED, StoredPositions
from shared.stream.truncation import LogTruncation

_log = logger(__name__)
# Two questions to the leaders, of up to three seconds each, and two statements.
CHECK_TIMEOUT_SECONDS = 10


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
        self._restarting: set[TopicPartition] = set()
        self._truncated: set[TopicPartition] = set()
        # Where each stored position was seen to stand.
        self._known: dict[TopicPartition, int] = {}
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
        rows = await self._positions.load()
        other_logs = await self._truncation.find(partitions, rows) | set(truncated)
        for partition in partitions:
            stored = start = rows.get(partition, NOT_STORED).next_offset
            if partition in other_logs:
                start = await self._truncation.set_back(partition, stored)
            self._kafka().seek(partition, start)
            self._known[partition] = min(start, stored)
            self.handled[partition] = Position(start, 0)
            self.cursors[partition] = PartitionCursor(start, assigned_in_poll=self._poll())

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """Forget these partitions."""
        for partition in partitions:
            self.cursors.pop(partition, None)
            self.handled.pop(partition, None)
            self._known.pop(partition, None)
        self._restarting.difference_update(partitions)
        self._truncated.difference_update(partitions)

    def accept(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        """Whether to handle these records now; else they are fetched again, or belong to another replica."""
        cursor = self.cursors.get(partition)
        if cursor is None or partition in self._restarting:
            return False
        expected, decision = cursor.next_offset, cursor.accept(records[0].offset, records[-1].offset, self._poll())
        if isinstance(decision, SeekTo):
            self._kafka().seek(partition, decision.offset)
            return False
        if isinstance(decision, Restart):
            self._truncated.add(partition)
            self._restarting.add(partition)
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
            self._known[partition] = max(self._known.get(partition, 0), position.next_offset)

    def record_followed(self, partition: TopicPartition) -> None:
        """All records before the partition's cursor are handled, or never handed out."""
        position = self.handled.get(partition)
        if position is not None:
            self.handled[partition] = position._replace(next_offset=self.cursors[partition].next_offset)

    def pending(self, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
        """Without the records of partitions that restart: they are fetched again."""
        if not self._restarting:
            return list(records)
        return [r for r in records if TopicPartition(r.topic, r.partition) not in self._restarting]

    def known(self) -> dict[TopicPartition, int]:
        """Each stored position as last seen. One that is lower now was set back."""
        return dict(self._known)

    def restart(self, records: Sequence[ConsumerRecord]) -> None:
        """None of these records was handled: take their partitions up from their stored positions."""
        self._restarting |= positions_of(records).keys() & self.cursors.keys()

    @property
    def must_restart(self) -> bool:
        """Whether a log was truncated, or a position set back: call `restart_all` once no batch is being handled."""
        return bool(self._restarting)

    async def restart_all(self) -> None:
        """Take up from their stored positions those that were set back, from their beginnings truncated logs."""
        async with self.lock:
            partitions = self._restarting & self.cursors.keys()
            await self.assign(partitions, self._truncated & partitions)
            self._restarting, self._truncated = set(), set()

    async def check(self) -> None:
        """Check from time to time for truncated logs and positions set back that neither fetch nor batch shows.

        A database or broker that does not answer leaves it to the next check.
        """
        if not self.cursors or self.lock.locked() or not self._truncation.is_due():
            return
        async with self.lock:
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                    await self._check()
            except TRANSIENT as error:
                _log.debug("logs and positions not checked", error=repr(error))

    async def _check(self) -> None:
        # Before the rows are loaded: batches may be committed in between.
        known = self.known()
        rows = await self._positions.load()
        partitions = self.cursors.keys() - self._restarting
        truncated = await self._truncation.find(partitions, rows)
        set_back = {tp for tp in partitions if rows.get(tp, NOT_STORED).next_offset < known.get(tp, 0)}
        self._truncated |= truncated
        self._restarting |= truncated | set_back

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
