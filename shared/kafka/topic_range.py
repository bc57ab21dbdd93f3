"""Reads a topic from a point in time up to its end as of now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.access import KafkaAccess
from shared.kafka.admin import partitions_of

FETCH_RECORDS = 200


@dataclass
class TopicRange:
    """Offsets `[first, ends)` of each partition. `missing`: how many of their records the log no longer held."""

    consumer: AIOKafkaConsumer
    first: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    missing: int = 0

    @property
    def total(self) -> int:
        """How many offsets the range has, including those whose records were deleted."""
        return sum(end - self.first[partition] for partition, end in self.ends.items())

    async def batches(self) -> AsyncIterator[tuple[int, Sequence[ConsumerRecord], int]]:
        """One partition after the other: its number, records in order, and how many offsets are done with them."""
        done = 0
        for partition, end in self.ends.items():
            self.consumer.seek(partition, self.first[partition])
            at = self.first[partition]
            while at < end:
                fetched = await self.consumer.getmany(partition, timeout_ms=1000, max_records=FETCH_RECORDS)
                records = fetched.get(partition, [])
                after = await self.consumer.position(partition)
                if (records[0].offset if records else after) != at:
                    self.missing += await self._missing(partition, at, end)
                if after < at:
                    # The log was truncated: its records were read already, or are newer than this range.
                    break
                done += min(after, end) - at
                at = after
                yield partition.partition, records, done

    async def _missing(self, partition: TopicPartition, at: int, end: int) -> int:
        """How many records retention deleted, or the log's end lost. Markers of transactions are no records."""
        log_begin: int = (await self.consumer.beginning_offsets([partition]))[partition]
        log_end: int = (await self.consumer.end_offsets([partition]))[partition]
        return max(0, min(log_begin, end) - at) + max(0, end - max(at, log_end))


@asynccontextmanager
async def topic_range(kafka: KafkaAccess, topic: str, since: datetime) -> AsyncIterator[TopicRange]:
    """The records of a topic with timestamps at or after `since`."""
    # "latest" would skip a partition whose beginning retention deletes while others are read.
    consumer = AIOKafkaConsumer(**kafka.client_options(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in await partitions_of(kafka, topic)]
        consumer.assign(partitions)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, int(since.timestamp() * 1000)))
        ends = await consumer.end_offsets(partitions)
        first = {tp: found.offset if (found := starts[tp]) else ends[tp] for tp in partitions}
        yield TopicRange(consumer, first, ends)
    finally:
        await consumer.stop()
