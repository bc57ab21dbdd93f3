"""When Kafka holds less than was read of it: the log lost its end, or the topic was made anew.

Such a log is read again from its beginning: nobody can tell which of its records are new, and ids make it harmless to
handle the others once more. Three signs show it: the log ends before the stored position when a partition is assigned;
a fetch begins before the cursor; or, for a log that grows no further, a check from time to time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka.offsets import LogOffsets
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.stream.positions import StoredPositions

_log = logger(__name__)
LOAD_TIMEOUT_SECONDS = 2


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

    async def set_back(self, partition: TopicPartition, stored: int, end: int) -> int:
        """Set the stored position back to the log's beginning; where the partition stands now."""
        beginning = await self._offsets(self._kafka()).beginning(partition)
        start = await self._positions.set_back(partition, stored, beginning)
        # At least one, where the log has grown meanwhile.
        self._metrics[partition.topic].missing.inc(max(1, stored - end))
        _log.error(
            "log is shorter than what was read of it, reading it from its beginning",
            topic=partition.topic,
            partition=partition.partition,
            read=stored,
            end=end,
            beginning=start,
        )
        return start

    async def check(self, partitions: Collection[TopicPartition], lock: asyncio.Lock) -> None:
        """Check from time to time for logs that end before their stored position: a fetch does not show it.

        It happens when a partitioned replica continues on the old log while others have started on the new one.
        """
        if not partitions or lock.locked() or time.monotonic() - self._checked < self._check_seconds:
            return
        self._checked = time.monotonic()
        async with lock:
            try:
                async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                    stored = await self._positions.load()
            except TRANSIENT:
                return
            for partition, end in (await self._offsets(self._kafka()).ends(list(partitions))).items():
                if stored.get(partition, 0) > end:
                    # Fetching from the beginning makes the cursor ask for a restart once no batch is being handled.
                    self._kafka().seek(partition, 0)
