"""Dead letters: what could not be handled, kept whole with its reason, listed, shown, and driven again."""

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
from shared.kafka.publisher import OutgoingMessage, Publisher

# A record that was driven again says when it was first tried.
FIRST_ATTEMPT = "andon-first-attempt"
AT_ONCE = 100
# Together a letter of less than the four MiB that its topic takes, whatever becomes of them in JSON: base64 makes a
# third more of bytes, text may grow sixfold. Larger bodies come compressed alone: their topics take two MiB.
LONGEST_BODY, LONGEST_KEY, LONGEST_HEADERS = 2_200_000, 50_000, 100_000
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
    key = None if record.key is None else record.key[:LONGEST_KEY]
    cut = _cut(record)
    letter = DeadEvent(
        id=place,
        source="andon/dead-letters",
        subject=place,
        time=now,
        data=DeadData(
            topic=topic,
            reason=reason,
            detail=f"{detail[:1800]}{cut}",
            whole=not cut,
            place=place,
            body=base64.b64encode((record.value or b"")[:LONGEST_BODY]).decode(),
            key=None if key is None else key.decode("utf-8", "backslashreplace"),
            key_base64=None if key is None else base64.b64encode(key).decode(),
            headers=_headers(record),
            first_attempt_at=_first_attempt(record) or now,
            last_attempt_at=now,
        ),
    )
    return OutgoingMessage(prefix + dead(topic), key or b"", letter.to_json())


def _cut(record: ConsumerRecord) -> str:
    """What is said of the parts that are too large to be kept whole; empty: there are none."""
    parts = (
        ("body", len(record.value or b""), LONGEST_BODY),
        ("key", len(record.key or b""), LONGEST_KEY),
        ("headers", sum(len(name.encode()) + len(value or b"") for name, value in record.headers), LONGEST_HEADERS),
    )
    told = [f"the first {most} bytes of its {part} of {length}" for part, length, most in parts if length > most]
    return f" (too large: {', '.join(told)} are kept)" if told else ""


def _headers(record: ConsumerRecord) -> dict[str, str | None]:
    """As text, as many as there is room for. A header may have no value at all."""
    kept: dict[str, str | None] = {}
    room = LONGEST_HEADERS
    for name, value in record.headers:
        if room <= 0:
            break
        kept[name[:room]] = None if value is None else value[:room].decode("utf-8", "backslashreplace")
        room -= len(name.encode()) + len(value or b"")
    return kept


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
    try:
        await consumer.start()
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


def why_not(letter: DeadEvent | Unreadable) -> str:
    """Why a letter cannot be driven again; empty where it can."""
    if isinstance(letter, Unreadable):
        return f"{letter.id}: cannot be read ({letter.why}); andon dead-letters show prints its bytes"
    if letter.data.place.startswith("intake/"):
        source, day = letter.data.place.split("/")[1], f"{letter.data.first_attempt_at:%Y-%m-%d}"
        return (
            f"{letter.id}: came from a request and was never on {letter.data.topic}; once what it failed on is mended: "
            f"andon retranslate --source {source} --since {day}"
        )
    if not letter.data.whole:
        return f"{letter.id}: was too large to be kept whole and is cut; send it again from where it came, smaller"
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
    """As the record had it; a letter from before `key_base64` has its text alone."""
    if data.key_base64 is not None:
        return base64.b64decode(data.key_base64)
    return None if data.key is None else data.key.encode()
