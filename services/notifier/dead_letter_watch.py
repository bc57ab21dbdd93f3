"""Counts the dead letters that wait, of all topics, from the topics themselves: an alert lasts as long as they do."""

from __future__ import annotations

import asyncio
import time

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from shared.contracts.dead import DeadReason
from shared.contracts.topics import HANDLED, PRODUCT_TOPICS
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.kafka.foreign_cancellation import foreign_cancellation_as_error
from shared.runtime.log import logger
from shared.runtime.measured import MeasuredGauge
from shared.stream.dead_letters import BATCH, DEAD_TOPICS, letter_of
from shared.stream.handled_letters import UNREADABLE, WaitingLetters, mark_of

_log = logger(__name__)
MEASURE_SECONDS, RETRY_SECONDS, ANSWER_SECONDS = 15.0, 5.0, 10.0
_REASONS = (*(reason.value for reason in DeadReason), UNREADABLE)


class DeadLetterWatch:
    """Reads every dead-letter topic in no group, from its beginning; keeps ids and reasons, no bodies."""

    def __init__(self, kafka: KafkaAccess, prefix: str, registry: CollectorRegistry) -> None:
        self._kafka, self._names = kafka, {prefix + name: name for name in (*DEAD_TOPICS, HANDLED)}
        self._gauge = MeasuredGauge(
            "andon_dead_letters_waiting",
            "dead letters that were neither redriven nor dismissed. Of the system: aggregate by max.",
            ("topic", "reason"),
            registry=registry,
        )

    async def run(self) -> None:
        """Run until cancelled. While Kafka is unavailable nothing is shown."""
        while True:
            try:
                with foreign_cancellation_as_error():
                    await self._count_if_topics_exist()
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("dead letters not counted: Kafka unavailable", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _count_if_topics_exist(self) -> None:
        if missing := await probe.missing_topics(self._kafka, self._names):
            _log.warning("dead letters not counted: topics are missing", topics=sorted(missing))
        else:
            await self._count()

    async def _count(self) -> None:
        """Read all there is and what comes, until Kafka does not answer."""
        consumer = AIOKafkaConsumer(
            **self._kafka.client_options(), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        try:
            await consumer.start()
            await self._follow(consumer)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        letters, partitions = WaitingLetters(), [TopicPartition(name, 0) for name in self._names]
        consumer.assign(partitions)
        measured = float("-inf")
        while True:
            for partition, records in (await consumer.getmany(timeout_ms=1000, max_records=BATCH)).items():
                self._take(letters, self._names[partition.topic], records)
            if time.monotonic() - measured >= MEASURE_SECONDS and await _is_at_end(consumer, partitions):
                self._show(letters)
                measured = time.monotonic()

    def _take(self, letters: WaitingLetters, name: str, records: list[ConsumerRecord]) -> None:
        for record in records:
            if name != HANDLED:
                letters.add(name, letter_of(name, record))
            elif mark := mark_of(record):
                letters.mark(mark)

    def _show(self, letters: WaitingLetters) -> None:
        counts = letters.counts()
        for topic in PRODUCT_TOPICS:
            for reason in _REASONS:
                self._gauge.set(counts[topic.name, reason], topic.name, reason)


async def _is_at_end(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    """Whether everything is read. Asks Kafka anew: without an answer what was read may be old."""
    async with asyncio.timeout(ANSWER_SECONDS):
        ends = await consumer.end_offsets(partitions)
        return all([await consumer.position(one) >= end for one, end in ends.items()])
