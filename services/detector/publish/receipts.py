"""Publishes when events of each source were received, by hour, and then how far judgement time has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from services.detector.settings import EVENT_SOURCE
from services.detector.store import evaluation, receipts
from services.detector.store.receipts import HOUR, PART_SIZE, HourPart, ReceiptState, SourceHour
from shared.contracts.receipts import HourReceipts, Judged, ReceiptsEvent, ReceiptType
from shared.contracts.topics import RECEIPTS
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection
from shared.runtime.instants import moment
from shared.stream import outbox

# Batches of writers in one transaction.
_ROWS_AT_ONCE = 200


class ReceiptsDone(NamedTuple):
    """`messages`: how many were put into the outbox. `is_complete`: nothing is left to take."""

    messages: int = 0
    is_complete: bool = True


class ReceiptPublisher:
    """Keeps nothing between runs: all state is in the database."""

    def __init__(self, topic_prefix: str, rows_at_once: int = _ROWS_AT_ONCE, part_size: int = PART_SIZE) -> None:
        self._topic, self._rows_at_once, self._part_size = topic_prefix + RECEIPTS, rows_at_once, part_size

    async def publish_some(self, connection: Connection) -> ReceiptsDone:
        """Publish what writers appended, in the caller's transaction. One replica at a time; nothing during a hold."""
        if not await receipts.try_lock(connection):
            return ReceiptsDone()
        # First: what is appended after it was read may be later than the watermark, but nothing before is missed.
        watermark, is_held = await evaluation.state(connection)
        if is_held:
            return ReceiptsDone()
        state, batches = await receipts.state(connection), await receipts.take(connection, self._rows_at_once)
        messages = await self._merge(connection, batches)
        is_complete = len(batches) < self._rows_at_once
        if is_complete and watermark is not None and (watermark != state.judged or state.since is not None):
            messages.append(self._judged(watermark, state))
            await receipts.save_judged(connection, watermark)
        await outbox.put(connection, messages)
        return ReceiptsDone(len(messages), is_complete)

    async def _merge(
        self, connection: Connection, batches: Iterable[tuple[str, Sequence[int]]]
    ) -> list[OutgoingMessage]:
        new = _by_hour(batches)
        last = await receipts.last_parts(connection, new) if new else {}
        pipelines = await receipts.pipelines(connection) if new else {}
        parts = [
            (hour, part)
            for hour in sorted(new)
            for part in _extended(last.get(hour, HourPart(0, ())), new[hour], self._part_size)
        ]
        await receipts.save(connection, parts)
        return [self._hour(hour, part, pipelines.get(hour[0], ())) for hour, part in parts]

    def _hour(self, hour: SourceHour, part: HourPart, pipelines: Sequence[str]) -> OutgoingMessage:
        source, start = hour
        found = tuple(instant - start for instant in part.instants)
        known = tuple(pipelines)
        data = HourReceipts(source=source, start=moment(start), part=part.number, receipts=found, pipelines=known)
        event = ReceiptsEvent.new(
            source=EVENT_SOURCE, type=ReceiptType.HOUR, subject=source, time=data.start, data=data
        )
        return OutgoingMessage(self._topic, data.key.encode(), event.to_json())

    def _judged(self, watermark: int, state: ReceiptState) -> OutgoingMessage:
        since = None if state.since is None else moment(max(state.since, 0))
        data = Judged(until=moment(watermark), since=since)
        event = ReceiptsEvent.new(
            source=EVENT_SOURCE, type=ReceiptType.JUDGED, subject=data.key, time=data.until, data=data
        )
        return OutgoingMessage(self._topic, data.key.encode(), event.to_json())


def _by_hour(batches: Iterable[tuple[str, Sequence[int]]]) -> Mapping[SourceHour, list[int]]:
    found: dict[SourceHour, list[int]] = {}
    for source, instants in batches:
        for hour, some in groupby(sorted(instants), lambda instant: instant - instant % HOUR):
            found.setdefault((source, hour), []).extend(some)
    return found


def _extended(last: HourPart, new: Sequence[int], size: int) -> Iterator[HourPart]:
    """The last part with the new instants, and more parts where it is full. How many there are hangs on no batch."""
    number, known, start = last.number, last.instants, 0
    while start < len(new):
        stop = start + size - len(known)
        if stop > start:
            yield HourPart(number, sorted([*known, *new[start:stop]]))
        number, known, start = number + 1, (), stop
