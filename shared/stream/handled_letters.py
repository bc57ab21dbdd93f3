"""Which dead letters still wait: those that were neither redriven nor dismissed since they were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from shared.contracts.dead import DeadEvent
from shared.contracts.handled import HandledData, HandledEvent, Handling
from shared.contracts.topics import DEAD_SUFFIX, HANDLED
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.stream.dead_letters import BATCH, Unreadable

# The reason of a record in a dead-letter topic that is no dead letter.
UNREADABLE = "unreadable"
Marks = Mapping[str, HandledData]


class _Known(NamedTuple):
    topic: str
    reason: str
    time: datetime


class WaitingLetters:
    """Counts the letters that wait, from letters and marks in any order."""

    def __init__(self) -> None:
        self._letters: dict[str, _Known] = {}
        self._marks: dict[str, HandledData] = {}

    def add(self, name: str, letter: DeadEvent | Unreadable) -> None:
        """A letter was read from the dead-letter topic `name`; of those with one id the latest counts."""
        reason = UNREADABLE if isinstance(letter, Unreadable) else letter.data.reason.value
        self._letters[letter.id] = _Known(name.removesuffix(DEAD_SUFFIX), reason, time_of(letter))

    def mark(self, mark: HandledData) -> None:
        """A letter was redriven or dismissed."""
        self._marks[mark.letter] = mark

    def counts(self) -> Counter[tuple[str, str]]:
        """How many wait, by topic (of the record) and reason."""
        waiting = (
            known for letter, known in self._letters.items() if handling_of(letter, known.time, self._marks) is None
        )
        return Counter((known.topic, known.reason) for known in waiting)


def time_of(letter: DeadEvent | Unreadable) -> datetime:
    """When the letter was written."""
    return letter.when if isinstance(letter, Unreadable) else letter.time


def handling_of(letter: str, written: datetime, marks: Marks) -> Handling | None:
    """What became of a letter; None: it waits. A mark older than the letter is of an earlier one with its id."""
    mark = marks.get(letter)
    return mark.handling if mark is not None and mark.at >= written else None


def mark_of(record: ConsumerRecord) -> HandledData | None:
    """The mark in a record; None: another program wrote it."""
    try:
        return HandledEvent.model_validate_json(record.value or b"").data
    except ValidationError:
        return None


async def read_marks(kafka: KafkaAccess, prefix: str = "") -> dict[str, HandledData]:
    """The marks of all letters, by id."""
    consumer = AIOKafkaConsumer(**kafka.client_options(), enable_auto_commit=False, auto_offset_reset="earliest")
    found: dict[str, HandledData] = {}
    try:
        await consumer.start()
        partition = TopicPartition(prefix + HANDLED, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for record in (await consumer.getmany(partition, timeout_ms=500)).get(partition, []):
                if mark := mark_of(record):
                    found[mark.letter] = mark
    finally:
        await consumer.stop()
    return found


async def publish_marks(publisher: Publisher, letters: Sequence[str], handling: Handling, prefix: str = "") -> int:
    """Mark letters, by id; how many."""
    now = datetime.now(UTC)
    for start in range(0, len(letters), BATCH):
        events = [HandledEvent.of(letter, handling, now) for letter in letters[start : start + BATCH]]
        await publisher.publish_all(
            [OutgoingMessage(prefix + HANDLED, one.data.letter.encode(), one.to_json()) for one in events]
        )
    return len(letters)
