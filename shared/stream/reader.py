"""Reads topics in batches: the only file that knows FastStream. Raw records, manual acknowledgement.

FastStream's parser and decoder are switched off: one record that they cannot read would cost the whole batch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from shared.kafka.access import KafkaAccess
from shared.kafka.records import partitions_of
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever

_log = logger(__name__)
# Ends at once where records have come.
POLL_MS = 100
# Small fetches from each partition in turn: large ones from one partition would leave the other workers idle.
FETCH_BYTES = 128 * 1024
# How soon to find a recreated topic, and added partitions. Sooner than publishers: what they write to a new
# partition is then read before judgement time has passed it.
METADATA_MAX_AGE_MS = 5_000


@dataclass(frozen=True)
class Subscription:
    """What is read, and how. `workers`: how many batches are handled at once.

    `truncation_check_seconds`: how often to check whether a log is still the one that was read, and no stored position
    was set back. `stuck_poll_seconds`: a poll slower
    than this counts as stuck. `follow_seconds`: how often to look for offsets that are never handed out.
    """

    kafka: KafkaAccess
    topics: Sequence[str]
    group: str
    max_records: int = 500
    workers: int = 1
    truncation_check_seconds: float = 10.0
    stuck_poll_seconds: float = 20.0
    follow_seconds: float = 0.5


@dataclass(frozen=True)
class Callbacks:
    """What the reader reports: a poll that brought records of these partitions, records, and changes of partitions."""

    polled: Callable[[set[TopicPartition]], Awaitable[None]]
    received: Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
    revoked: Callable[[set[TopicPartition]], Awaitable[None]]
    assigned: Callable[[set[TopicPartition]], Awaitable[None]]


class Reader:
    """Polls in a consumer group. `poll`: the number of the present poll."""

    def __init__(self, subscription: Subscription, callbacks: Callbacks) -> None:
        self._subscription, self._callbacks = subscription, callbacks
        self.poll, self._polled_at = 0, time.monotonic()
        self._broker = KafkaBroker(
            subscription.kafka.bootstrap,
            security=_security(subscription.kafka),
            logger=logging.getLogger("faststream"),
            log_level=logging.DEBUG,
            graceful_timeout=14,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            # An unused producer would ask for the metadata of every topic of the cluster as often.
            consumer_only=True,
        )
        self._subscriber: Any = self._subscribe()
        self._subscriber(self._receive)
        # FastStream's own poll reports nothing that finds nothing, and sleeps afterwards, deaf to what comes.
        self._subscriber.get_msg = self._observed_poll

    def _subscribe(self) -> Any:
        return self._broker.subscriber(
            *self._subscription.topics,
            batch=True,
            group_id=self._subscription.group,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_500,
            rebalance_timeout_ms=60_000,
            parser=_parse,
            decoder=_leave_undecoded,
            listener=_Listener(self._callbacks),
        )

    @property
    def kafka(self) -> Any:
        """aiokafka's consumer: assignment, positions, high-water marks. None before the start."""
        return self._subscriber.consumer

    @property
    def is_polling(self) -> bool:
        """Whether polls come back in time. One that does not waits for a group that does not form, or for us."""
        return time.monotonic() - self._polled_at < self._subscription.stuck_poll_seconds

    async def start(self) -> None:
        """Connect, waiting for Kafka as long as it takes."""
        async for attempt in retry_forever(_log, "waiting for Kafka", (KafkaError, OSError), max_seconds=1.0):
            with attempt:
                try:
                    await self._broker.start()
                except (KafkaError, OSError):
                    await self._broker.stop()
                    raise

    async def stop(self) -> None:
        await self._broker.stop()

    async def _observed_poll(self, consumer: Any) -> tuple[ConsumerRecord, ...]:
        self.poll += 1
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._subscription.max_records)
        records: tuple[ConsumerRecord, ...] = tuple(chain.from_iterable(found.values()))
        self._polled_at = time.monotonic()
        await self._callbacks.polled(partitions_of(records))
        return records

    async def _receive(self, message: KafkaMessage) -> None:
        await self._callbacks.received(message.raw_message)


def _security(kafka: KafkaAccess) -> BaseSecurity | None:
    """How the broker object signs in, in FastStream's terms."""
    options = kafka.connection_options()
    if kafka.signs_in:
        return SASLScram512(kafka.user, kafka.password, ssl_context=options["ssl_context"], use_ssl=True)
    return BaseSecurity(ssl_context=options["ssl_context"], use_ssl=True) if options else None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on aiokafka's calls at a rebalance."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._callbacks.revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._callbacks.assigned(assigned)


async def _parse(records: Any, original: Any) -> KafkaMessage:
    """A message around the raw records. FastStream sees only the first, without headers that may not be UTF-8."""
    message: KafkaMessage = await original((_Headless(records[0]),))
    message.raw_message = records
    return message


class _Headless:
    """A record as FastStream's parser sees it."""

    headers: tuple[()] = ()

    def __init__(self, record: ConsumerRecord) -> None:
        self.value, self.topic = record.value, record.topic
        self.offset, self.timestamp = record.offset, record.timestamp


async def _leave_undecoded(message: Any) -> None:
    """The handler decodes record by record, so that a bad one costs only itself."""
    return
