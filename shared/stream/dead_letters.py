"""Dead letters: records that could not be handled, kept whole with the reason; listed, shown and redriven."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from shared.contracts.dead import DeadData, DeadEvent, DeadReason
from shared.contracts.envelope import iso
from shared.contracts.topics import ALL_TOPICS, DEAD_SUFFIX, dead
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher

# The header of a redriven record that says when it was first tried.
FIRST_ATTEMPT = "andon-first-attempt"
BATCH = 100
# With these limits a letter stays below the 4 MiB that its topic takes: in JSON, base64 adds a third to bytes and text
# may grow sixfold. Only compressed records have larger bodies, as their topics take 2 MiB.
MAX_BODY, MAX_KEY, MAX_HEADERS = 2_200_000, 50_000, 100_000
DEAD_TOPICS = [topic.name for topic in ALL_TOPICS if topic.name.endswith(DEAD_SUFFIX)]
_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Unreadable(NamedTuple):
    """A record of a dead-letter topic that is no dead letter: another program wrote it, or it is broken."""

    id: str
    when: datetime
    raw: bytes
    why: str


def of_record(record: ConsumerRecord, topic: str, reason: DeadReason, detail: str, now: datetime) -> OutgoingMessage:
    """The dead letter of a record of `topic` (its name without prefix)."""
    origin = f"{topic}/{record.partition}/{record.offset}"
    prefix = record.topic.removesuffix(topic)
    key = None if record.key is None else record.key[:MAX_KEY]
    cut = _cut(record)
    letter = DeadEvent(
        id=origin,
        source="andon/dead-letters",
        subject=origin,
        time=now,
        data=DeadData(
            topic=topic,
            reason=reason,
            detail=f"{detail[:1800]}{cut}",
            whole=not cut,
            place=origin,
            body=base64.b64encode((record.value or b"")[:MAX_BODY]).decode(),
            key=None if key is None else key.decode("utf-8", "backslashreplace"),
            key_base64=None if key is None else base64.b64encode(key).decode(),
            headers=_headers(record),
            first_attempt_at=_first_attempt(record) or now,
            last_attempt_at=now,
        ),
    )
    return OutgoingMessage(prefix + dead(topic), key or b"", letter.to_json())


def _cut(record: ConsumerRecord) -> str:
    """Which parts are too large to be kept whole; empty if none is."""
    parts = (
        ("body", len(record.value or b""), MAX_BODY),
        ("key", len(record.key or b""), MAX_KEY),
        ("headers", sum(len(name.encode()) + len(value or b"") for name, value in record.headers), MAX_HEADERS),
    )
    cut = [f"the first {limit} bytes of its {part} of {length}" for part, length, limit in parts if length > limit]
    return f" (too large: {', '.join(cut)} are kept)" if cut else ""


def _headers(record: ConsumerRecord) -> dict[str, str | None]:
    """As text, up to the limit. A header may have no value."""
    kept: dict[str, str | None] = {}
    left = MAX_HEADERS
    for name, value in record.headers:
        if left <= 0:
            break
        kept[name[:left]] = None if value is None else value[:left].decode("utf-8", "backslashreplace")
        left -= len(name.encode()) + len(value or b"")
    return kept


def _first_attempt(record: ConsumerRecord) -> datetime | None:
    written = dict(record.headers).get(FIRST_ATTEMPT)
    try:
        return _MOMENT.validate_python(written.decode()) if written else None
    except ValueError:
        return None


async def read(
    kafka: KafkaAccess, prefix: str = "", topic: str | None = None
) -> AsyncGenerator[DeadEvent | Unreadable, None]:
    """All dead letters of one topic, or topic by topic, oldest first. Only a batch is in memory at a time."""
    names = [dead(topic)] if topic else DEAD_TOPICS
    consumer = AIOKafkaConsumer(**kafka.client_options(), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        partitions = [TopicPartition(prefix + name, 0) for name in names]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for name, partition in zip(names, partitions, strict=True):
            while await consumer.position(partition) < ends[partition]:
                records = await consumer.getmany(partition, timeout_ms=500, max_records=BATCH)
                for record in records.get(partition, []):
                    yield letter_of(name, record)
    finally:
        await consumer.stop()


def letter_of(name: str, record: ConsumerRecord) -> DeadEvent | Unreadable:
    """The dead letter in a record of the dead-letter topic `name`."""
    raw = record.value or b""
    try:
        return DeadEvent.model_validate_json(raw)
    except ValidationError as error:
        why = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5])
        when = datetime.fromtimestamp(max(0, record.timestamp) / 1000, UTC)
        return Unreadable(f"{name}/{record.partition}/{record.offset}", when, raw, why)


class NotRedrivableError(Exception):
    """A dead letter that cannot be redriven; the text says why and what to do."""


async def redrive(publisher: Publisher, letters: AsyncIterable[DeadEvent | Unreadable], prefix: str = "") -> int:
    """Put the original bytes back on their topics under their keys; how many. Ids make doing it twice harmless."""
    count = 0
    messages: list[OutgoingMessage] = []
    async for letter in letters:
        messages.append(_original(letter, prefix))
        if len(messages) == BATCH:
            await publisher.publish_all(messages)
            count, messages = count + len(messages), []
    await publisher.publish_all(messages)
    return count + len(messages)


def why_not(letter: DeadEvent | Unreadable) -> str:
    """Why a letter cannot be redriven; empty if it can."""
    if isinstance(letter, Unreadable):
        return f"{letter.id}: cannot be read ({letter.why}); andon dead-letters show prints its bytes"
    if letter.data.place.startswith("intake/"):
        source, day = letter.data.place.split("/")[1], f"{letter.data.first_attempt_at:%Y-%m-%d}"
        return (
            f"{letter.id}: came from a request and was never on {letter.data.topic}; fix the cause, then: "
            f"andon retranslate --source {source} --since {day}"
        )
    if not letter.data.whole:
        return (
            f"{letter.id}: was too large to be kept whole and is cut; send it again from its origin, in smaller parts"
        )
    return ""


def _original(letter: DeadEvent | Unreadable, prefix: str) -> OutgoingMessage:
    if isinstance(letter, Unreadable) or why_not(letter):
        raise NotRedrivableError(why_not(letter))
    data = letter.data
    headers = {name: None if value is None else value.encode() for name, value in data.headers.items()}
    headers[FIRST_ATTEMPT] = iso(data.first_attempt_at).encode()
    body = base64.b64decode(data.body)
    return OutgoingMessage(prefix + data.topic, _key(data), body, headers=tuple(headers.items()))


def _key(data: DeadData) -> bytes | None:
    """The key of the record. Letters from before `key_base64` hold it as text only."""
    if data.key_base64 is not None:
        return base64.b64decode(data.key_base64)
    return None if data.key is None else data.key.encode()
