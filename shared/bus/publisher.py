"""Messages out: an idempotent producer that waits for all in-sync replicas, with a deadline of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One record to be written; the key decides its partition and so its order."""

    topic: str
    key: bytes
    value: bytes
    timestamp_ms: int | None = None


class Publisher:
    """Publishes and waits. aiokafka's idempotent producer never gives up by itself, so the deadline is here.

    After a failure the producer is made anew: a message of unknown fate may be written twice, ids make that harmless.
    """

    def __init__(self, bootstrap: str, linger_ms: int = 5, deadline_seconds: float = 10) -> None:
        self._bootstrap, self._linger, self._deadline = bootstrap, linger_ms, deadline_seconds
        self._producer: Any = None

    async def start(self) -> None:
        """Connect; raises KafkaError (a ConnectionError of aiokafka) when no broker answers."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=self._linger,
            max_batch_size=131072, max_request_size=4_194_304, compression_type="lz4", request_timeout_ms=10_000,
        )  # fmt: skip
        try:
            await producer.start()
        except BaseException:
            await _close(producer)
            raise
        self._producer = producer

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer)

    async def publish_all(self, messages: Sequence[OutgoingMessage]) -> None:
        """Write all, in order per key; back when all are acknowledged. Raises TimeoutError after the deadline."""
        try:
            await asyncio.wait_for(self._publish(messages), self._deadline)
        except (KafkaError, TimeoutError) as error:
            await self.stop()
            raise TimeoutError(f"Kafka did not take {len(messages)} messages: {error!r}") from error

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self._producer is None:
            await self.start()
        sent = [await self._producer.send(m.topic, m.value, key=m.key, timestamp_ms=m.timestamp_ms) for m in messages]
        await asyncio.gather(*sent)


async def _close(producer: Any) -> None:
    """Stop a producer that may have lost its broker: it would wait for ever to flush."""
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait([stopping], timeout=2)
    if not done:
        stopping.cancel()
        await asyncio.wait([stopping], timeout=1)
        await producer.client.close()
