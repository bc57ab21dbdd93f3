"""Messages out: an idempotent producer that waits for all in-sync replicas, with a deadline of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError


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
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Connect unless that is done; raises KafkaError when no broker answers."""
        async with self._starting:
            if self._producer is not None:
                return
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

    async def ping(self) -> None:
        """Ask the broker for its metadata; raises KafkaError or TimeoutError when it does not answer."""
        async with asyncio.timeout(self._deadline):
            await self.start()
            if not await self._producer.client.force_metadata_update():
                raise KafkaConnectionError("no broker answers")

    async def publish_all(self, messages: Sequence[OutgoingMessage]) -> None:
        """Write all, in order per key; back when all are acknowledged. Raises TimeoutError after the deadline."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._publish(messages)
        except (KafkaError, TimeoutError) as error:
            self._drop()
            raise TimeoutError(f"Kafka did not take {len(messages)} messages: {error!r}") from error

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self._producer is None:
            await self.start()
        # One that fails on the way takes the producer with it: the others go on with theirs.
        producer = self._producer
        sent = [await producer.send(m.topic, m.value, key=m.key, timestamp_ms=m.timestamp_ms) for m in messages]
        if len(sent) == 1:
            await sent[0]
        else:
            await asyncio.gather(*sent)

    def _drop(self) -> None:
        """Begin anew with the next message; the old producer is closed aside, which may take seconds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            closing = asyncio.ensure_future(_close(producer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _close(producer: Any) -> None:
    """Stop a producer that may have lost its broker: it would wait for ever to flush."""
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait([stopping], timeout=2)
    if done:
        # What could not be flushed was told to those who wait for it.
        stopping.exception()
    else:
        stopping.cancel()
        await asyncio.wait([stopping], timeout=1)
        await producer.client.close()
