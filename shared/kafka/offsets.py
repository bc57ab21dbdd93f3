"""Where logs begin and end, as their leaders tell it; where aiokafka stands in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

WITHIN_SECONDS = 3


async def ends_of(kafka: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Where logs end. One whose leader does not tell in time is left out: the others must not wait for it."""

    async def end(partition: TopicPartition) -> dict[TopicPartition, int]:
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                found: dict[TopicPartition, int] = await kafka.end_offsets([partition])
                return found
        except (KafkaError, TimeoutError):
            return {}

    found = await asyncio.gather(*map(end, partitions))
    return {partition: offset for one in found for partition, offset in one.items()}


async def beginning_of(kafka: Any, partition: TopicPartition) -> int:
    """Where a log begins: what was before is let go. Raises KafkaError or TimeoutError where nobody tells in time."""
    async with asyncio.timeout(WITHIN_SECONDS):
        offset: int = (await kafka.beginning_offsets([partition]))[partition]
        return offset


async def stands_at(kafka: Any, partition: TopicPartition) -> int | None:
    """The next offset that aiokafka will hand out; None where it does not know it just now."""
    try:
        # It would wait for what it does not know.
        async with asyncio.timeout(0):
            offset: int = await kafka.position(partition)
            return offset
    except (KafkaError, TimeoutError):
        return None
