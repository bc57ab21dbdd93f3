"""What happens when the group shares its partitions anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import ConsumerRebalanceListener, TopicPartition

if TYPE_CHECKING:
    from shared.stream.reader import BatchConsumer


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Partitions are let go only after the batch in hand, and taken up where the database says."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._consumer.rest()
        async with self._consumer.placing:
            self._consumer.let_go(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        async with self._consumer.placing:
            await self._consumer.take_up(assigned)
