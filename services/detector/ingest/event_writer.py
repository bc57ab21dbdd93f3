"""Writes history: a batch of deal events becomes events, deals, visits and changes of counts in one transaction."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import TypeVar
from weakref import WeakSet

import orjson
from aiokafka import ConsumerRecord

from services.detector.ingest.batch_changes import BatchChanges
from services.detector.ingest.future_times import FutureCheck
from services.detector.ingest.source_pipelines import SourcePipelines
from services.detector.ingest.week_marks import WeekMarks
from services.detector.metrics import DetectorMetrics
from services.detector.publish.handovers import HandoverPublisher
from services.detector.store import copy_tables, evaluation, history, learning, receipts, watermark
from services.detector.store import stages as stage_store
from services.detector.store.history import Inserted, NewEvent, StoredState
from services.detector.store.stages import StageMapCache
from services.detector.store.watermark import Standing
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.events import event_of
from shared.flow.packed_states import unpack
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import source_of
from shared.flow.usual_events import UsualMessages
from shared.flow.visits import DealState, Event
from shared.postgres.pool import Connection
from shared.runtime.instants import micros
from shared.stream.processor import Received, contract
from shared.stream.transaction import Transaction

# Folding this many deals takes about a millisecond: between them other tasks run.
CHUNK = 100
# From this many events on it pays to write them as if all were new.
DIRECT_COPY_MIN = 200
# Where that fails, Postgres logs an error; so do not try it again for this many batches.
BATCHES_WITHOUT_DIRECT_COPY = 50
_KEY, _TIME = attrgetter("key"), attrgetter("key.time")
# From a tuple, in a third of the time that the constructor takes.
_new_event = partial(tuple.__new__, NewEvent)
# Of a deal that is new.
_UNKNOWN = StoredState(b"", 0)
One = TypeVar("One")


class EventWriter:
    """Handles `pipeline.events`.

    `now` gives the present as of a record; `standings` how far partitions will be read after a batch; `committed` is
    called after each batch; `weeks` marks those whose measures change; `handovers` publishes moves of deals that merges
    made; `is_live`: times of receipt are of the wall clock. Batches of several workers are handled at once: the lists
    of each are emptied early.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        metrics: DetectorMetrics,
        now: Callable[[ConsumerRecord], datetime],
        standings: Callable[[Sequence[ConsumerRecord]], list[Standing]] = lambda records: [],
        committed: Callable[[], None] = lambda: None,
        direct_copy_min: int = DIRECT_COPY_MIN,
        now_reuse: int = 1,
        weeks: WeekMarks | None = None,
        handovers: HandoverPublisher | None = None,
        is_live: bool = True,
    ) -> None:
        self._ruleset, self._metrics, self._standings, self._committed = ruleset, metrics, standings, committed
        self._is_live = is_live
        self._direct_copy_min = direct_copy_min
        self._future = FutureCheck(now, now_reuse)
        self._lateness = ruleset.policy.lateness.micros()
        self._stage_maps = StageMapCache(ruleset)
        self._seen: WeakSet[Transaction] = WeakSet()
        self._no_direct_copy = 0
        self._source_pipelines = SourcePipelines()
        self._weeks = weeks or WeekMarks(ruleset.policy.timezone)
        self._handovers = handovers or HandoverPublisher()
        self._message_of, self._usual = contract(DealEvent), UsualMessages()
        self.decoders = {EVENTS: self._decode}

    def _decode(self, record: ConsumerRecord) -> NewEvent:
        """The contract reads what is unusual, at three times the cost."""
        usual = self._usual.read(record.value or b"")
        if usual is None:
            return self._of_contract(record)
        event, text, time, heard, received = usual
        self._future.check(record, time)
        return _new_event((event, text, time, None if "merged_from" in event.data else heard, received))

    def _of_contract(self, record: ConsumerRecord) -> NewEvent:
        message: DealEvent = self._message_of(record)
        self._future.check(record, message.time)
        event = event_of(message)
        received = event.key.time if message.receivedat is None else micros(message.receivedat)
        source = None if "merged_from" in event.data else message.source
        return NewEvent(event, orjson.dumps(event.data).decode(), message.time, source, received)

    async def handle(self, transaction: Transaction, messages: list[Received[NewEvent]]) -> None:
        """Apply events. Any order and repetition gives the same history."""
        if transaction in self._seen:
            await copy_tables.clear(transaction.connection)
        self._seen.add(transaction)
        events = [received.message for received in messages]
        messages.clear()
        read, handed_over = len(events), _handed_over(events)
        new, former, first_seen = await self._insert(transaction.connection, events)
        await receipts.append(transaction.connection, _by_source(first_seen))
        applied, by_deal, first = len(new), _by_deal(new), min(map(_TIME, new), default=0)
        if self._is_live:
            seen = [one.received for one in first_seen if one.source is not None]
            transaction.after_commit(lambda: self._metrics.record_seen(seen, micros(datetime.now(UTC))))
        del first_seen
        events.clear()
        new.clear()
        transaction.after_commit(lambda: self._metrics.record_batch(applied, read))
        if by_deal:
            await self._write(transaction, by_deal, _by_deal(former), handed_over)
            await self._weeks.note_events(transaction, first, former)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Record how far the partitions are applied."""
        await watermark.record(transaction.connection, self._standings(records), applied=True)
        transaction.after_commit(self._committed)

    async def _insert(self, connection: Connection, events: Sequence[NewEvent]) -> Inserted:
        """Many are likely to be all new. Repeated ones come in numbers, so then not for the next batches."""
        direct = len(events) >= self._direct_copy_min and not self._no_direct_copy
        inserted = await history.insert_events(connection, events, direct)
        repeated = len(inserted.new) < len(events)
        self._no_direct_copy = BATCHES_WITHOUT_DIRECT_COPY if repeated else max(0, self._no_direct_copy - 1)
        return inserted

    async def _write(
        self,
        transaction: Transaction,
        new: dict[str, list[Event]],
        former: dict[str, list[Event]],
        handed_over: Collection[tuple[str, str]],
    ) -> None:
        connection = transaction.connection
        # In this order, after the insert: see the module of stages.
        sources = {source_of(deal) for deal in new}
        await stage_store.share_sources(connection, sources)
        resolver = await self._stage_maps.refresh(connection)
        stored = await history.states(connection, list(new))
        changes = BatchChanges(self._ruleset, resolver)
        out_of_order = await self._fold(new, former, stored, changes)
        await self._count_late(transaction, new)
        if out_of_order:
            await self._fold_anew(connection, changes, out_of_order, new, former)
        await self._handovers.publish(connection, changes.handovers, handed_over)
        saved = [(deal, state, stored.get(deal, _UNKNOWN).version + 1) for deal, state in changes.folded.states]
        # Everything is folded: free the memory while the database writes.
        for read in (new, stored, changes.folded.states):
            read.clear()
        await history.save_deals(connection, saved)
        await changes.folded.write_visits(connection, out_of_order)
        await self._source_pipelines.note(transaction, sources, changes.folded.visits)
        await self._weeks.mark(connection, changes.first_at)
        await learning.mark(connection, changes.marks.since)
        await history.add_changes(connection, changes.counts.packed())
        transaction.after_commit(lambda: self._metrics.unknown_stage.inc(changes.unknown_stage))
        transaction.after_commit(lambda: self._metrics.of_deleted_deals.inc(changes.of_deleted_deals))

    async def _fold(
        self,
        new: dict[str, list[Event]],
        former: dict[str, list[Event]],
        stored: dict[str, StoredState],
        changes: BatchChanges,
    ) -> list[str]:
        """Fold what goes on from the stored states; the deals for which that does not do come back."""
        out_of_order = list[str]()
        # Sorted here once: rows are written in the order of deals.
        async for part in in_chunks(sorted(new)):
            for deal in part:
                events = new[deal]
                state = unpack(stored[deal].state) if deal in stored else DealState()
                if len(events) > 1:
                    events.sort(key=_KEY)
                if deal in former or (state.last is not None and events[0].key < state.last):
                    out_of_order.append(deal)
                else:
                    changes.go_on(deal, state, events)
        return out_of_order

    async def _fold_anew(
        self,
        connection: Connection,
        changes: BatchChanges,
        deals: list[str],
        new: dict[str, list[Event]],
        former: dict[str, list[Event]],
    ) -> None:
        """An event comes before what the state has applied, or replaces a former one: fold all events of the deal."""
        events, entered = await history.events_of(connection, deals), await history.visits_of(connection, deals)
        for deal in deals:
            changes.fold_anew(deal, events[deal], entered[deal], new[deal], former.get(deal, []))

    async def _count_late(self, transaction: Transaction, new: dict[str, list[Event]]) -> None:
        """Count events older than the lateness: they take effect at its edge (see `Evaluator`).

        The watermark is never later than now, so it is read only where an event is older than that allows.
        """
        oldest_allowed = micros(datetime.now(UTC)) - self._lateness
        suspects = [events for events in new.values() if events[0].key.time < oldest_allowed]
        if not suspects:
            return
        reached, held = await evaluation.state(transaction.connection)
        if reached is None or held:
            return
        edge = reached - self._lateness
        late = sum(event.key.time < edge for events in suspects for event in events)
        transaction.after_commit(lambda: self._metrics.late.inc(late))


async def in_chunks(items: Sequence[One]) -> AsyncIterator[Sequence[One]]:
    """Parts of about a millisecond's work; between them other tasks run.

    A batch that held the event loop to its end would leave the database idle: results of other batches wait for us.
    """
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
        await asyncio.sleep(0)


def _by_source(events: Iterable[NewEvent]) -> dict[str, list[int]]:
    """When events were received, by source."""
    found: dict[str | None, list[int]] = defaultdict(list)
    for _, _, _, source, received in events:
        found[source].append(received)
    return {source: instants for source, instants in found.items() if source is not None}


def _handed_over(events: Iterable[NewEvent]) -> set[tuple[str, str]]:
    """The handovers that events tell of: (deal, into)."""
    moves = [one.event for one in events if one.source is None]
    return {(move.data["merged_from"], move.deal) for move in moves if move.data["merged_from"]}


def _by_deal(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.deal].append(event)
    return dict(found)
