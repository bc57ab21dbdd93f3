"""Dead letters: what could not be handled, kept whole with its reason, listed, shown, and driven again."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from shared.bus.publisher import OutgoingMessage, Publisher
from shared.contracts.dead import DeadData, DeadEvent, DeadReason
from shared.contracts.envelope import iso
from shared.contracts.topics import ALL_TOPICS, DEAD_SUFFIX, dead

# A record that was driven again says when it was first tried.
FIRST_ATTEMPT = "andon-first-attempt"
AT_ONCE = 100
_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Unreadable(NamedTuple):
    """A record of a dead-letter topic that is none: written by another program, or broken."""

    id: str
    when: datetime
    raw: bytes
    why: str


def of_record(record: ConsumerRecord, topic: str, reason: DeadReason, detail: str, now: datetime) -> OutgoingMessage:
    """The dead letter of a record that lay on `topic` (its name without prefix)."""
    place = f"{topic}/{record.partition}/{record.offset}"
    prefix = record.topic.removesuffix(topic)
    body = base64.b64encode(record.value or b"").decode()
    letter = DeadEvent(
        id=place, source="andon/dead-letters", subject=place, time=now,
        data=DeadData(
            topic=topic, reason=reason, detail=detail[:2000], place=place, body=body,
            key=None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
            key_base64=None if record.key is None else base64.b64encode(record.key).decode(),
            headers={name: value.decode("utf-8", "backslashreplace") for name, value in record.headers},
            first_attempt_at=_first_attempt(record) or now, last_attempt_at=now,
        ),
    )  # fmt: skip
    return OutgoingMessage(prefix + dead(topic), record.key or b"", letter.to_json())


def _first_attempt(record: ConsumerRecord) -> datetime | None:
    said = dict(record.headers).get(FIRST_ATTEMPT)
    try:
        return _MOMENT.validate_python(said.decode()) if said else None
    except ValueError:
        return None


async def read(
    bootstrap: str, prefix: str = "", topic: str | None = None
) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    """Every dead letter there is, of one topic or topic by topic, the oldest first; one at a time is in memory."""
    names = [dead(topic)] if topic else [t.name for t in ALL_TOPICS if t.name.endswith(DEAD_SUFFIX)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(prefix + name, 0) for name in names]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for name, partition in zip(names, partitions, strict=True):
            while await consumer.position(partition) < ends[partition]:
                records = await consumer.getmany(partition, timeout_ms=500, max_records=AT_ONCE)
                for record in records.get(partition, []):
                    yield _letter(name, record)
    finally:
        await consumer.stop()


def _letter(name: str, record: ConsumerRecord) -> DeadEvent | Unreadable:
    raw = record.value or b""
    try:
        return DeadEvent.model_validate_json(raw)
    except ValidationError as error:
        why = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5])
        when = datetime.fromtimestamp(max(0, record.timestamp) / 1000, UTC)
        return Unreadable(f"{name}/{record.partition}/{record.offset}", when, raw, why)


class NotRedrivableError(Exception):
    """A dead letter that never was a record of a topic, or that cannot be read."""


async def redrive(publisher: Publisher, letters: AsyncIterable[DeadEvent | Unreadable], prefix: str = "") -> int:
    """Put the original bytes back on their topic under their key; ids make a second time harmless. How many."""
    count = 0
    messages: list[OutgoingMessage] = []
    async for letter in letters:
        messages.append(_original(letter, prefix))
        if len(messages) == AT_ONCE:
            await publisher.publish_all(messages)
            count, messages = count + len(messages), []
    await publisher.publish_all(messages)
    return count + len(messages)


def _original(letter: DeadEvent | Unreadable, prefix: str) -> OutgoingMessage:
    if isinstance(letter, Unreadable):
        raise NotRedrivableError(
            f"{letter.id}: cannot be read ({letter.why}); andon dead-letters show prints its bytes"
        )
    data = letter.data
    if data.place.startswith("intake/"):
        raise NotRedrivableError(
            f"{letter.id}: came from a request and was never on {data.topic}; let the CRM send it again"
        )
    headers = {name: value.encode() for name, value in data.headers.items()}
    headers[FIRST_ATTEMPT] = iso(data.first_attempt_at).encode()
    body = base64.b64decode(data.body)
    return OutgoingMessage(prefix + data.topic, _key(data), body, headers=tuple(headers.items()))


def _key(data: DeadData) -> bytes | None:
    """As the record had it; a letter from before `key_base64` has its text alone."""
    if data.key_base64 is not None:
        return base64.b64decode(data.key_base64)
    return None if data.key is None else data.key.encode()
