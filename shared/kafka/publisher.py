"""Publishes messages: an idempotent producer that waits for all in-sync replicas, with a deadline of its own.

Messages that arrive while one write is in flight go out together in the next (group commit): one round trip and one
batch per partition serve all callers, at a fraction of the cost of sending message by message.
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

from shared.contracts.envelope import Envelope
from shared.kafka.access import KafkaAccess


class OutgoingMessage(NamedTuple):
    """A record to write. The key decides its partition, and so its order; None counts as an empty key."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @classmethod
    def of(cls, topic: str, event: Envelope[Any]) -> OutgoingMessage:
        """The event, keyed by its subject, so that events of one subject keep their order."""
        return cls(topic, event.subject.encode(), event.to_json())


class TooLargeError(TimeoutError):
    """One of the messages is larger than its topic takes. Others may have been written; the broker does not say which.

    A TimeoutError, so that callers who make no difference retry as with an unavailable broker.
    """


_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# Under load, callers that were just answered publish again within this time: wait for them, and write less often.
GATHER_SECONDS = 0.001
# How soon to write to partitions that were added.
METADATA_MAX_AGE_MS = 30_000
Waiter = tuple[Sequence[OutgoingMessage], "asyncio.Future[None]"]


class Publisher:
    """Publishes and waits. aiokafka's idempotent producer never gives up, so the deadline is enforced here.

    After a failure the producer is replaced: a message of unknown fate may be written twice, which ids make harmless.
    `wrote` gets the seconds that each write took until it was acknowledged.
    """

    def __init__(
        self, kafka: KafkaAccess, deadline_seconds: float = 10, wrote: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._kafka, self._deadline, self._wrote = kafka, deadline_seconds, wrote
        self._producer: Any = None
        self._waiting: list[Waiter] = []
        self._writing: asyncio.Future[None] | None = None
        self._starting = asyncio.Lock()
        self._closing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Connect, if not connected. Raises KafkaError when no broker answers."""
        async with self._starting:
            if self._producer is not None:
                return
            producer = AIOKafkaProducer(
                **self._kafka.client_options(),
                acks="all",
                enable_idempotence=True,
                max_batch_size=131072,
                max_request_size=4_194_304,
                compression_type="snappy",
                request_timeout_ms=10_000,
                metadata_max_age_ms=METADATA_MAX_AGE_MS,
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
        """Ask the broker for its metadata. Raises KafkaError or TimeoutError when it does not answer."""
        async with asyncio.timeout(self._deadline):
            await self.start()
            if not await self._producer.client.force_metadata_update():
                raise KafkaConnectionError("no broker answers")

    async def publish_all(self, messages: Sequence[OutgoingMessage]) -> None:
        """Write all, in order per key, and wait for all acknowledgements.

        Raises TimeoutError after the deadline, TooLargeError where one message can never be written.
        """
        if not messages:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
        await done

    async def _write(self) -> None:
        """Write group after group while callers wait. When the broker fails, all who wait fail together."""
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
        # A failure drops the producer: writes that are in flight go on with the one they have.
        producer, acknowledged = self._producer, []
        for (topic, partition), some in (await _by_partition(producer, messages)).items():
            for batch in _batches(producer, some):
                acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
        # Wait for all: a batch in flight beside a failed one must not arrive after what is written next.
        answers = await asyncio.gather(*acknowledged, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if errors:
            raise next((error for error in errors if isinstance(error, _TOO_LARGE)), errors[0])

    def _drop(self) -> None:
        """Replace the producer at the next message. Closing the old one may take seconds, so nobody waits for it."""
        producer, self._producer = self._producer, None
        if producer is not None:
            closing = asyncio.ensure_future(_close(producer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _close(producer: Any) -> None:
    """Stop a producer that may have lost its broker; by itself it would wait forever to flush."""
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait([stopping], timeout=2)
    if done:
        # Callers know already what could not be flushed.
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
    """As Kafka clients do by default, so that a key has the same partition whoever writes."""
    return int(murmur2(key)) & 0x7FFFFFFF


def _batches(producer: Any, messages: Iterable[OutgoingMessage]) -> Iterable[Any]:
    """Full batches, and a last one; closed, so that none waits for more."""
    batch = producer.create_batch()
    for _, key, value, timestamp, headers in messages:
        # None means that the batch is full; an empty one takes any message.
        while batch.append(key=key, value=value, timestamp=timestamp, headers=list(headers)) is None:
            yield batch
            batch = producer.create_batch()
    batch.close()
    yield batch


def _fail(lost: Iterable[Waiter], error: BaseException) -> None:
    """Fail all who wait: with TimeoutError for an unavailable broker, with RuntimeError for a defect of ours."""
    kind: type[Exception] = TimeoutError if isinstance(error, KafkaError | TimeoutError) else RuntimeError
    if isinstance(error, _TOO_LARGE):
        kind = TooLargeError
    for messages, done in lost:
        if not done.done():
            done.set_exception(kind(f"Kafka did not take {len(messages)} messages: {error!r}"))
