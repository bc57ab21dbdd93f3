"""Reads what a topic holds since some time, up to what is there now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.admin import partitions_of

AT_ONCE = 200


@dataclass
class Past:
    """Records of a topic, from `first` to before `ends` of each partition. `gone`: how many of them it held no more."""

    consumer: AIOKafkaConsumer
    first: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    gone: int = 0

    @property
    def total(self) -> int:
        """How many records there are, those included that Kafka has let go between."""
        return sum(end - self.first[place] for place, end in self.ends.items())

    async def parts(self) -> AsyncIterator[tuple[int, Sequence[ConsumerRecord], int]]:
        """Partition by partition in order: its number, some records, and how many of the total are read with them."""
        done = 0
        for place, end in self.ends.items():
            self.consumer.seek(place, self.first[place])
            at = self.first[place]
            while at < end:
                records = (await self.consumer.getmany(place, timeout_ms=1000, max_records=AT_ONCE)).get(place, [])
                came = records[0].offset if records else await self.consumer.position(place)
                after = await self.consumer.position(place)
                if came != at:
                    self.gone += await self._gone(place, at, end)
                if after < at:
                    # The log has lost its end: what is there now lies before, or came later.
                    break
                done += min(after, end) - at
                at = after
                yield place.partition, records, done

    async def _gone(self, place: TopicPartition, at: int, end: int) -> int:
        """How many records were let go by retention, or lost at the log's end; marks of transactions are no records."""
        begin: int = (await self.consumer.beginning_offsets([place]))[place]
        now: int = (await self.consumer.end_offsets([place]))[place]
        return max(0, min(begin, end) - at) + max(0, end - max(at, now))


@asynccontextmanager
async def past(bootstrap: str, topic: str, since: datetime) -> AsyncIterator[Past]:
    """What the topic holds since then, by the times of its records."""
    # By itself it would go to the end of a partition whose beginning is let go while others are read.
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in await partitions_of(bootstrap, topic)]
        consumer.assign(places)
        starts = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
        ends = await consumer.end_offsets(places)
        first = {place: found.offset if (found := starts[place]) else ends[place] for place in places}
        yield Past(consumer, first, ends)
    finally:
        await consumer.stop()
