"""Writes history: a batch of records becomes events, deals, visits and changes of counts in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, TypeVar

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.detector.metrics import DetectorMetrics
from services.detector.store import copy_tables, history
from services.detector.store.history import NewEvent
from services.detector.store.stages import StageMapCache
from shared.contracts.dead import DeadReason
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.counts import CountDeltas
from shared.flow.events import event_of
from shared.flow.ruleset import Ruleset
from shared.flow.visits import DealState, Event, Visit, unique
from shared.kafka.publisher import OutgoingMessage
from shared.stream import dead_letters, outbox, positions

AHEAD = timedelta(minutes=5)
# So many records or deals take about a millisecond.
TURN = 100
# From so many events on it pays to write them as if all were new; where they are not, Postgres logs it as an error, and
# for so many batches it is not tried again.
MANY, DOUBTS = 200, 50
One = TypeVar("One")


@dataclass
class Work:
    """What a batch does to deals: counts that change, their new states, visits to write and to drop."""

    counts: CountDeltas
    packed: list[tuple[str, bytes]] = field(default_factory=list)
    stays: list[tuple[str, Visit]] = field(default_factory=list)
    gone: list[tuple[str, int]] = field(default_factory=list)


class EventWriter:
    """Takes batches of `pipeline.events`. `present` tells when now is, for times that lie in the future."""

    def __init__(
        self, judging: Ruleset, metrics: DetectorMetrics, present: Callable[[ConsumerRecord], datetime]
    ) -> None:
        self._judging, self._metrics, self._present = judging, metrics, present
        self._follower = StageMapCache(judging)
        self._doubts = 0

    async def apply(self, connection: Any, records: Sequence[ConsumerRecord]) -> None:
        """One transaction's work; the caller opens the transaction and commits it."""
        records = await positions.claim(connection, records)
        if not records:
            return
        said, dead = await self._decode(records)
        read = len(said)
        new, was = await self._insert(connection, said) if said else ([], [])
        applied, fresh = len(new), _by_deal(new)
        # Batches of several lanes are in memory at once: what is done with is let go.
        said.clear()
        new.clear()
        if fresh:
            await self._write(connection, fresh, _by_deal(was))
        await outbox.put(connection, dead)
        await positions.advance(connection, records)
        self._metrics.record_batch(applied=applied, read=read, dead=len(dead))

    async def apply_more(self, connection: Any, records: Sequence[ConsumerRecord]) -> None:
        """As `apply`, in a transaction in which other records may have been applied."""
        await copy_tables.clear(connection)
        await self.apply(connection, records)

    def bury(self, record: ConsumerRecord, error: Exception) -> OutgoingMessage:
        """The dead letter of a record that can be read and cannot be handled."""
        return self._bury(record, DeadReason.HANDLER, repr(error))

    async def _insert(self, connection: Any, said: Sequence[NewEvent]) -> tuple[list[Event], list[Event]]:
        """Many are likely to be all new. What is sent once more comes in numbers: then not, for some batches."""
        straight = len(said) >= MANY and not self._doubts
        new, was = await history.insert_events(connection, said, straight)
        self._doubts = DOUBTS if len(new) < len(said) else max(0, self._doubts - 1)
        return new, was

    async def _decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[NewEvent], list[OutgoingMessage]]:
        """Each record by itself: a bad one goes to the dead letters and costs the others nothing."""
        said: list[NewEvent] = []
        dead: list[OutgoingMessage] = []
        # What lies before the present of the earliest record needs no look of its own.
        past = self._present(min(records, key=attrgetter("timestamp")))
        async for part in in_turns(records):
            for record in part:
                found = self._read(record, past)
                if isinstance(found, NewEvent):
                    said.append(found)
                else:
                    dead.append(found)
        return said, dead

    def _read(self, record: ConsumerRecord, past: datetime) -> NewEvent | OutgoingMessage:
        try:
            message = DealEvent.model_validate_json(record.value or b"")
        except ValidationError as error:
            return self._bury(record, reason_of(error), explain(error))
        if message.time > past and message.time > self._present(record) + AHEAD:
            detail = f"time {message.time.isoformat()} is more than five minutes in the future; mend the sender's clock"
            return self._bury(record, DeadReason.IN_THE_FUTURE, detail)
        event = event_of(message)
        return NewEvent(event, orjson.dumps(event.said).decode(), message.time)

    def _bury(self, record: ConsumerRecord, reason: DeadReason, detail: str) -> OutgoingMessage:
        self._metrics.dead[reason].inc()
        return dead_letters.of_record(record, EVENTS, reason, detail, self._present(record))

    async def _write(self, connection: Any, fresh: dict[str, list[Event]], was: dict[str, list[Event]]) -> None:
        await self._follower.follow(connection)
        stored = await history.states(connection, list(fresh))
        work, late = Work(CountDeltas(self._judging)), []
        # In the order in which rows are written, once for all of them.
        async for part in in_turns(sorted(fresh)):
            for deal in part:
                events = fresh[deal]
                state = DealState.unpack(stored[deal].state) if deal in stored else DealState()
                events.sort(key=attrgetter("key"))
                if deal in was or (state.last is not None and events[0].key < state.last):
                    late.append(deal)
                else:
                    self._go_on(work, deal, state, events)
        if late:
            await self._anew(connection, work, late, fresh, was)
        changed = [(deal, state, _next(stored.get(deal))) for deal, state in work.packed]
        # All is folded: it need not stay in memory while the database writes.
        for folded in (fresh, stored, work.packed):
            folded.clear()
        await history.save_deals(connection, changed)
        await history.drop_visits(connection, work.gone)
        await history.save_visits(connection, work.stays)
        await history.add_changes(connection, work.counts.packed())

    def _go_on(self, work: Work, deal: str, state: DealState, events: list[Event]) -> None:
        """The usual case: all events are later than what the deal has seen."""
        before = state.current
        if before is not None:
            work.counts.add(before, -1)
        state.take(events, self._judging.places)
        after = state.finished + ([state.current] if state.current is not None else [])
        if before is not None and all(visit.entered != before.entered for visit in after):
            work.gone.append((deal, before.entered))
        self._keep(work, deal, state, after)

    async def _anew(
        self, connection: Any, work: Work, late: list[str], fresh: dict[str, list[Event]], was: dict[str, list[Event]]
    ) -> None:
        """Some event comes before what the deal has seen, or in place of it: fold all its events, old and new."""
        events, stored = await history.events_of(connection, late), await history.visits_of(connection, late)
        for deal in late:
            added = {event.key.id for event in fresh[deal]}
            before = DealState()
            others = [e for e in events[deal] if e.key.id not in added]
            before.take(unique(others + was.get(deal, [])), self._judging.places)
            for visit in _all(before):
                work.counts.add(visit, -1)
            state = DealState()
            state.take(unique(events[deal]), self._judging.places)
            after = _all(state)
            kept = {visit.entered for visit in after}
            work.gone += [(deal, entered) for entered in stored[deal] if entered not in kept]
            self._keep(work, deal, state, after)

    def _keep(self, work: Work, deal: str, state: DealState, visits: list[Visit]) -> None:
        for visit in visits:
            work.counts.add(visit)
            work.stays.append((deal, visit))
            if not self._judging.knows(visit.pipeline, visit.stage):
                self._metrics.unknown_stage.inc()
        work.packed.append((deal, state.pack()))


async def in_turns(many: Sequence[One]) -> AsyncIterator[Sequence[One]]:
    """Parts of a millisecond's work; between them others have their turn.

    A batch that held the loop to its end would leave the database idle: what it has done for other lanes waits for us.
    """
    for start in range(0, len(many), TURN):
        yield many[start : start + TURN]
        await asyncio.sleep(0)


def _by_deal(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.deal, []).append(event)
    return found


def _next(stored: history.Stored | None) -> int:
    return 1 if stored is None else stored.version + 1


def _all(deal: DealState) -> list[Visit]:
    return deal.finished + ([deal.current] if deal.current is not None else [])


def reason_of(error: ValidationError) -> DeadReason:
    """Why a record cannot be read."""
    json = any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False))
    return DeadReason.NOT_JSON if json else DeadReason.BAD_SHAPE


def explain(error: ValidationError) -> str:
    """What is wrong with a record, field by field."""
    faults = error.errors(include_url=False)
    return "; ".join(
        f"{'.'.join(map(str, f['loc'])) or 'record'}: {f['msg']}, found {str(f['input'])[:80]!r}" for f in faults
    )
