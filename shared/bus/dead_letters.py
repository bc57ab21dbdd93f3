"""Dead letters: what could not be handled, kept whole with its reason, listed, shown, and driven again."""

from __future__ import annotations

import base64
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.bus.publisher import OutgoingMessage, Publisher
from shared.contracts.dead import DeadData, DeadEvent, DeadReason
from shared.contracts.topics import ALL_TOPICS, DEAD_SUFFIX, dead


def of_record(record: ConsumerRecord, topic: str, reason: DeadReason, detail: str, now: datetime) -> OutgoingMessage:
    """The dead letter of a record that lay on `topic` (its name without prefix)."""
    place = f"{topic}/{record.partition}/{record.offset}"
    prefix = record.topic.removesuffix(topic)
    body = base64.b64encode(record.value or b"").decode()
    letter = DeadEvent(
        id=place, source="andon/dead-letters", subject=place, time=now,
        data=DeadData(
            topic=topic, reason=reason, detail=detail[:2000], place=place, body=body,
            key=record.key.decode("utf-8", "backslashreplace") if record.key else None,
            headers={name: value.decode("utf-8", "backslashreplace") for name, value in record.headers},
            first_attempt_at=now, last_attempt_at=now,
        ),
    )  # fmt: skip
    return OutgoingMessage(prefix + dead(topic), record.key or b"", letter.to_json())


async def read_all(bootstrap: str, prefix: str = "", topic: str | None = None) -> list[DeadEvent]:
    """Every dead letter there is, of one topic or of all, oldest first."""
    names = [dead(topic)] if topic else [t.name for t in ALL_TOPICS if t.name.endswith(DEAD_SUFFIX)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(prefix + name, 0) for name in names]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        letters: list[DeadEvent] = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                records = await consumer.getmany(partition, timeout_ms=500)
                letters += [DeadEvent.model_validate_json(r.value) for part in records.values() for r in part]
        return sorted(letters, key=lambda letter: letter.time)
    finally:
        await consumer.stop()


class NotRedrivableError(Exception):
    """A dead letter that never was a record of a topic."""


async def redrive(publisher: Publisher, letters: list[DeadEvent], prefix: str = "") -> int:
    """Put the original bytes back on their topic under their key; ids make a second time harmless. How many."""
    messages = []
    for letter in letters:
        if letter.data.place.startswith("intake/"):
            raise NotRedrivableError(
                f"{letter.id}: came from a request and was never on {letter.data.topic}; let the CRM send it again"
            )
        key = (letter.data.key or "").encode()
        messages.append(OutgoingMessage(prefix + letter.data.topic, key, base64.b64decode(letter.data.body)))
    await publisher.publish_all(messages)
    return len(messages)
