"""Reads what a topic holds since some time, up to what is there now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.bus.admin import partitions_of

AT_ONCE = 200


@dataclass(frozen=True)
class Past:
    """Records of a topic, from `first` to before `ends` of each partition."""

    consumer: AIOKafkaConsumer
    first: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]

    @property
    def total(self) -> int:
        """How many records there are, those included that Kafka has let go between."""
        return sum(end - self.first[place] for place, end in self.ends.items())

    async def parts(self) -> AsyncIterator[tuple[int, Sequence[ConsumerRecord], int]]:
        """Partition by partition in order: its number, some records, and how many of the total are read with them."""
        done = 0
        for place, end in self.ends.items():
            self.consumer.seek(place, self.first[place])
            while (at := await self.consumer.position(place)) < end:
                records = (await self.consumer.getmany(place, timeout_ms=1000, max_records=AT_ONCE)).get(place, [])
                done += await self.consumer.position(place) - at
                yield place.partition, records, done


@asynccontextmanager
async def past(bootstrap: str, topic: str, since: datetime) -> AsyncIterator[Past]:
    """What the topic holds since then, by the times of its records."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
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
