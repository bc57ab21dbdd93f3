"""When Kafka holds another log than the one that was read: it lost its end, or the topic was recreated.

Such a log is read again from its beginning: nobody can tell which of its records are new, and ids make it harmless to
handle the others once more. Three signs show it, whenever a partition is assigned and from time to time:

- it ends before the stored position;
- its first record that is newer than everything handled when the log was last verified (by its first batch, then by
  each check) lies before the offset of then. So another log is seen also when it has grown beyond the stored position,
  and was read on from there;
- a fetch begins before the cursor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka.offsets import LogOffsets
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.stream.positions import NOT_STORED, StoredPosition, StoredPositions

_log = logger(__name__)


def is_truncated(stored: StoredPosition, end: int | None, first_newer: int | None) -> bool:
    """Whether the log is another one than was read.

    `end`: None where no leader answers. `first_newer`: the offset of the first record that is newer than `verified_ms`;
    None where none is.
    """
    ends_before = end is not None and end < stored.next_offset
    return ends_before or (first_newer is not None and first_newer < stored.verified_offset)


class LogTruncation:
    """Finds truncated logs, and sets their stored positions back."""

    def __init__(
        self,
        kafka: Callable[[], AIOKafkaConsumer],
        offsets: Callable[[AIOKafkaConsumer], LogOffsets],
        positions: StoredPositions,
        metrics: Mapping[str, ConsumerMetrics],
        check_seconds: float,
    ) -> None:
        self._kafka, self._offsets, self._positions, self._metrics = kafka, offsets, positions, metrics
        self._check_seconds, self._checked = check_seconds, 0.0

    def is_due(self) -> bool:
        """Whether it is time for the next check; True restarts the interval."""
        if time.monotonic() - self._checked < self._check_seconds:
            return False
        self._checked = time.monotonic()
        return True

    async def find(
        self, partitions: Iterable[TopicPartition], stored: Mapping[TopicPartition, StoredPosition]
    ) -> set[TopicPartition]:
        """Those of the partitions whose logs are truncated, as far as their leaders answer; verifies the others."""
        of = {partition: stored.get(partition, NOT_STORED) for partition in partitions}
        offsets = self._offsets(self._kafka())
        checkable = {tp: p.verified_ms for tp, p in of.items() if p.verified_offset and p.verified_ms is not None}
        newer, ends = await offsets.first_newer(checkable), await offsets.ends(of)
        truncated = {tp for tp, position in of.items() if is_truncated(position, ends.get(tp), newer.get(tp))}
        answered = (ends.keys() & newer.keys()) | (ends.keys() - checkable.keys())
        await self._positions.verify({tp: of[tp] for tp in answered - truncated})
        return truncated

    async def set_back(self, partition: TopicPartition, stored: int) -> int:
        """Set the stored position back to the log's beginning; returns the position now stored."""
        offsets = self._offsets(self._kafka())
        beginning = await offsets.beginning(partition)
        end = (await offsets.ends([partition])).get(partition, stored)
        start = await self._positions.set_back(partition, stored, beginning)
        # At least one, if the log has grown since.
        self._metrics[partition.topic].missing.inc(max(1, stored - end))
        _log.error(
            "log is not the one that was read, reading it from its beginning",
            topic=partition.topic,
            partition=partition.partition,
            read=stored,
            end=end,
            beginning=start,
        )
        return start
