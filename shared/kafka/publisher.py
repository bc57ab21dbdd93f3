"""Messages out: an idempotent producer that waits for all in-sync replicas, with a deadline of its own.

What is asked for while one write is on its way goes out together in the next (group commit): one round trip and one
batch per partition serve all who wait, at a fraction of the cost of sending message by message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import murmur2


class OutgoingMessage(NamedTuple):
    """One record to be written; the key decides its partition and so its order (none: that of an empty one)."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class TooLargeError(TimeoutError):
    """One of the messages is larger than its topic takes; others of them may be written. The broker does not say which.

    Who does not care for the difference comes again, as to a broker that is away.
    """


_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# While several ask at once, those who were just answered come again within this time: fewer, larger writes.
GATHER_SECONDS = 0.001
Waiter = tuple[Sequence[OutgoingMessage], "asyncio.Future[None]"]


class Publisher:
    """Publishes and waits. aiokafka's idempotent producer never gives up by itself, so the deadline is here.

    After a failure the producer is made anew: a message of unknown fate may be written twice, ids make that harmless.
    `wrote` is told the seconds that each write took until it was acknowledged.
    """

    def __init__(
        self, bootstrap: str, deadline_seconds: float = 10, wrote: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._bootstrap, self._deadline, self._wrote = bootstrap, deadline_seconds, wrote
        self._producer: Any = None
        self._waiting: list[Waiter] = []
        self._writing: asyncio.Future[None] | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Connect unless that is done; raises KafkaError when no broker answers."""
        async with self._starting:
            if self._producer is not None:
                return
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                enable_idempotence=True,
                max_batch_size=131072,
                max_request_size=4_194_304,
                compression_type="snappy",
                request_timeout_ms=10_000,
            )
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
        """Write all, in order per key; back when all are acknowledged. Raises TimeoutError after the deadline.

        Raises TooLargeError where one of them can never be written.
        """
        if not messages:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
        await done

    async def _write(self) -> None:
        """Write group after group while somebody waits. Who comes when the broker is gone shares the group's fate."""
        group: list[Waiter] = []
        try:
            while self._waiting:
                if len(group) > 1:
                    await asyncio.sleep(GATHER_SECONDS)
                group, self._waiting = self._waiting, []
                began = time.perf_counter()
                async with asyncio.timeout(self._deadline):
                    await self._publish([message for messages, _ in group for message in messages])
                self._wrote(time.perf_counter() - began)
                for _, done in group:
                    if not done.done():
                        done.set_result(None)
        except BaseException as error:
            self._drop()
            lost, self._waiting = group + self._waiting, []
            _fail(lost, error)
        finally:
            self._writing = None

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self._producer is None:
            await self.start()
        # One that fails on the way takes the producer with it: the others go on with theirs.
        producer, acknowledged = self._producer, []
        for (topic, partition), some in (await _by_partition(producer, messages)).items():
            for batch in _batches(producer, some):
                acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
        # What is on its way beside one that fails must not arrive after what is written next.
        answers = await asyncio.gather(*acknowledged, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if errors:
            raise next((error for error in errors if isinstance(error, _TOO_LARGE)), errors[0])

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


async def _by_partition(
    producer: Any, messages: Iterable[OutgoingMessage]
) -> dict[tuple[str, int], list[OutgoingMessage]]:
    found: dict[tuple[str, int], list[OutgoingMessage]] = {}
    counts: dict[str, int] = {}
    for message in messages:
        topic = message.topic
        if topic not in counts:
            counts[topic] = len(await producer.partitions_for(topic))
        found.setdefault((topic, _hash(message.key or b"") % counts[topic]), []).append(message)
    return found


@lru_cache(65536)
def _hash(key: bytes) -> int:
    """As all Kafka clients do by default, so that a key has one partition whoever writes."""
    return int(murmur2(key)) & 0x7FFFFFFF


def _batches(producer: Any, messages: Iterable[OutgoingMessage]) -> Iterable[Any]:
    """Batches that are full or hold the last message; closed, so that none waits for more."""
    batch = producer.create_batch()
    for _, key, value, timestamp, headers in messages:
        # None where the batch is full; an empty one takes any message.
        while batch.append(key=key, value=value, timestamp=timestamp, headers=list(headers)) is None:
            yield batch
            batch = producer.create_batch()
    batch.close()
    yield batch


def _fail(lost: Iterable[Waiter], error: BaseException) -> None:
    """Tell all who wait. A defect of ours is told as it is, an unreachable broker as TimeoutError."""
    kind: type[Exception] = TimeoutError if isinstance(error, KafkaError | TimeoutError) else RuntimeError
    if isinstance(error, _TOO_LARGE):
        kind = TooLargeError
    for messages, done in lost:
        if not done.done():
            done.set_exception(kind(f"Kafka did not take {len(messages)} messages: {error!r}"))
