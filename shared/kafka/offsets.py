"""Where logs begin and end, as their leaders say, and where aiokafka's consumer stands in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

TIMEOUT_SECONDS = 3


class LogOffsets:
    """Asks the brokers through a consumer."""

    def __init__(self, kafka: AIOKafkaConsumer) -> None:
        self._kafka = kafka

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The end offset of each partition; without those whose leader does not answer in time."""

        async def end(partition: TopicPartition) -> dict[TopicPartition, int]:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    found: dict[TopicPartition, int] = await self._kafka.end_offsets([partition])
                    return found
            except (KafkaError, TimeoutError):
                return {}

        found = await asyncio.gather(*map(end, partitions))
        return {partition: offset for one in found for partition, offset in one.items()}

    async def first_newer(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        """The offset of each partition's first record with a time after the given one, in milliseconds; None for none.

        Without the partitions whose leader does not answer in time.
        """

        async def newer(partition: TopicPartition, after_ms: int) -> dict[TopicPartition, int | None]:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    found = (await self._kafka.offsets_for_times({partition: after_ms + 1}))[partition]
                    return {partition: None if found is None else found.offset}
            except (KafkaError, TimeoutError):
                return {}

        found = await asyncio.gather(*(newer(partition, after_ms) for partition, after_ms in times.items()))
        return {partition: offset for one in found for partition, offset in one.items()}

    async def beginning(self, partition: TopicPartition) -> int:
        """The first offset that retention has left. Raises KafkaError or TimeoutError where no leader answers."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            offset: int = (await self._kafka.beginning_offsets([partition]))[partition]
            return offset

    async def position(self, partition: TopicPartition) -> int | None:
        """The next offset that aiokafka will hand out; None where it does not know it at the moment."""
        try:
            # It waits for a position that it does not know.
            async with asyncio.timeout(0):
                offset: int = await self._kafka.position(partition)
                return offset
        except (KafkaError, TimeoutError):
            return None
