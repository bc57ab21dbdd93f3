"""Asks where logs end, on connections of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.kafka.access import KafkaAccess
from shared.kafka.foreign_cancellation import foreign_cancellation_as_error

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 1.0
# After a question without an answer: how long not to ask again.
REST_SECONDS = 10.0


class LogEndsClient:
    """One client. A broker answers the requests of a connection in turn, so a question that is asked through a consumer
    waits behind its fetch.

    Not promised: an answer. Whoever asks has another way to learn where logs end, only later.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        rest_seconds: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka, self._rest, self._clock = kafka, rest_seconds, clock
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds
        self._client: AIOKafkaConsumer | None = None
        self._rests_until = 0.0

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The end offset of each partition; empty where one of their leaders does not answer in time."""
        if not partitions or self._clock() < self._rests_until:
            return {}
        try:
            with foreign_cancellation_as_error():
                client = await self._connected()
                async with asyncio.timeout(self._answer_seconds):
                    found: dict[TopicPartition, int] = await client.end_offsets(list(partitions))
            return found
        except (KafkaError, OSError):
            self._rests_until = self._clock() + self._rest
            await self.close()
            return {}

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(**self._kafka.client_options())
            try:
                async with asyncio.timeout(self._connect_seconds):
                    await client.start()
            except BaseException:
                await _stop(client)
                raise
            self._client = client
        return self._client

    async def close(self) -> None:
        """Disconnect. The next question connects again."""
        client, self._client = self._client, None
        if client is not None:
            await _stop(client)


async def _stop(client: AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError), foreign_cancellation_as_error():
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.stop()
