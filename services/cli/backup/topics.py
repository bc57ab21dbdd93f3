"""Topics: read up to their ends, and written into empty ones, in which records have other offsets."""

from __future__ import annotations

import asyncio
import base64
import gzip
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from services.cli.backup.archive import BackupError, FileWriter, Manifest, StoredPartition
from shared.contracts.topics import ALL_TOPICS
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import TopicMismatchError, create_topics
from shared.kafka.topic_range import topic_range

Done = Callable[[int, int | None], None]
_BEGINNING = datetime.fromtimestamp(0, UTC)
# How many records are on their way to Kafka at once.
_IN_FLIGHT = 2000


class OffsetMap:
    """Where the records of a partition are after a restore: their offsets of then, in order."""

    def __init__(self, offsets: array[int]) -> None:
        self._offsets = offsets

    def next_offset(self, before: int) -> int:
        """The next offset to read, of the next offset before; the end where that lay beyond the backup."""
        return bisect_left(self._offsets, before)


async def save(kafka: KafkaAccess, prefix: str, folder: Path, done: Done) -> list[StoredPartition]:
    """Write what the topics hold now."""
    stored, total = list[StoredPartition](), 0
    for topic in ALL_TOPICS:
        found = await _save_topic(kafka, prefix, topic.name, folder)
        total += sum(partition.records for partition in found)
        stored += found
        done(total, None)
    return stored


async def _save_topic(kafka: KafkaAccess, prefix: str, topic: str, folder: Path) -> list[StoredPartition]:
    async with topic_range(kafka, prefix + topic, _BEGINNING) as records:
        writers = {tp.partition: FileWriter(folder, f"kafka/{topic}.{tp.partition}.gz") for tp in records.ends}
        counts = dict.fromkeys(writers, 0)
        async for partition, some, _ in records.batches():
            within = [r for r in some if r.offset < records.ends[TopicPartition(prefix + topic, partition)]]
            writers[partition].write(b"".join(map(_line, within)))
            counts[partition] += len(within)
        ends = {tp.partition: end for tp, end in records.ends.items()}
    return [
        StoredPartition(
            path=writer.path,
            sha256=writer.finish(),
            topic=topic,
            partition=partition,
            end=ends[partition],
            records=counts[partition],
        )
        for partition, writer in writers.items()
    ]


def _line(record: ConsumerRecord) -> bytes:
    return orjson.dumps(
        {
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": [[name, _text(value)] for name, value in record.headers],
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def make_empty(kafka: KafkaAccess, prefix: str, manifest: Manifest, replication: int) -> None:
    """Create missing topics. Raises BackupError where one has other partitions, or ever held a record."""
    counts: dict[str, int] = {}
    for stored in manifest.partitions:
        counts[stored.topic] = counts.get(stored.topic, 0) + 1
    wanted = tuple(replace(t, partitions=counts[t.name]) for t in ALL_TOPICS if t.name in counts)
    try:
        await create_topics(kafka, prefix, wanted, replication)
    except TopicMismatchError as error:
        raise BackupError(f"{error}; the backup has as many") from None
    ends = await _ends(kafka, [prefix + name for name in counts])
    for name, count in counts.items():
        if (found := sum(tp.topic == prefix + name for tp in ends)) != count:
            raise BackupError(
                f"topic {prefix}{name} has {found} partitions, and {count} in the backup; a deal's events would change"
                " their partition: delete the topic, restore makes it"
            )
    if used := sorted({tp.topic for tp, end in ends.items() if end}):
        raise BackupError(
            f"topics are not empty ({', '.join(used[:5])}); delete them, or restore to other ones by another"
            " ANDON_TOPIC_PREFIX or ANDON_KAFKA"
        )


async def _ends(kafka: KafkaAccess, names: Sequence[str]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(*names, **kafka.client_options(), enable_auto_commit=False)
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(list(consumer.assignment()))
        return found
    finally:
        await consumer.stop()


async def load(
    kafka: KafkaAccess, prefix: str, folder: Path, manifest: Manifest, done: Done
) -> dict[tuple[str, int], OffsetMap]:
    """Write all records to their partitions, in order and with their times; where they are now."""
    producer = AIOKafkaProducer(
        **kafka.client_options(),
        acks="all",
        enable_idempotence=True,
        max_batch_size=131072,
        max_request_size=4_194_304,
        compression_type="snappy",
    )
    await producer.start()
    maps, total, written = {}, sum(p.records for p in manifest.partitions), 0
    try:
        for stored in manifest.partitions:
            offsets: array[int] = array("q")
            for some in _read(folder / stored.path):
                await _write(producer, prefix + stored.topic, stored.partition, some)
                offsets.extend(record["offset"] for record in some)
                written += len(some)
                done(written, total)
            maps[stored.topic, stored.partition] = OffsetMap(offsets)
    finally:
        await producer.stop()
    await _check_ends(kafka, prefix, manifest)
    return maps


def _read(path: Path) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    with gzip.open(path) as lines:
        for line in lines:
            some.append(orjson.loads(line))
            if len(some) == _IN_FLIGHT:
                yield some
                some = []
    if some:
        yield some


async def _write(producer: AIOKafkaProducer, topic: str, partition: int, some: list[dict[str, Any]]) -> None:
    sent = [
        await producer.send(
            topic,
            _bytes(record["value"]),
            key=_bytes(record["key"]),
            partition=partition,
            timestamp_ms=record["timestamp"],
            headers=[(name, _bytes(value)) for name, value in record["headers"]],
        )
        for record in some
    ]
    await asyncio.gather(*sent)


async def _check_ends(kafka: KafkaAccess, prefix: str, manifest: Manifest) -> None:
    """Positions are right only if every record is at the offset that was counted for it."""
    ends = await _ends(kafka, sorted({prefix + stored.topic for stored in manifest.partitions}))
    for stored in manifest.partitions:
        if ends.get(TopicPartition(prefix + stored.topic, stored.partition)) != stored.records:
            raise BackupError(
                f"something else writes to {prefix}{stored.topic}; stop all services, delete the topics, restore again"
            )
