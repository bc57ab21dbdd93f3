"""SQL of the history: events, deals, visits, changes of counts. Bulk statements only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from asyncpg import SerializationError, UniqueViolationError

from services.detector.store.copy_tables import instant, stage
from shared.flow.deltas import PackedDeltas
from shared.flow.fold import precedence
from shared.flow.visits import Closing, Event, EventKey, Visit, WithdrawnVisit
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

_NEW = f"""
INSERT INTO event (deal, id, time, rank, data)
SELECT deal, id, {instant("time")}, rank, data FROM staged_event ON CONFLICT DO NOTHING
RETURNING deal, id
"""
_OTHERS = f"""
SELECT event.deal, event.id, event.time, event.rank, event.data FROM event JOIN staged_event AS s USING (deal, id)
WHERE (event.time, event.rank, event.data) IS DISTINCT FROM ({instant("s.time")}, s.rank, s.data)
"""
_REPLACE = """
UPDATE event SET time = w.time, rank = w.rank, data = w.data
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::smallint[], $5::text[]) AS w (deal, id, time, rank, data)
WHERE event.deal = w.deal AND event.id = w.id
"""
# asyncpg looks at each element of an array as at a container: as JSON they cost a fraction.
_STATES = """
SELECT deal, state, version FROM deal WHERE deal = ANY(ARRAY(SELECT json_array_elements_text($1::json)))
"""
_EVENTS = "SELECT deal, id, time, rank, data FROM event WHERE deal = ANY($1::text[]) ORDER BY deal, time, rank, id"
_VISITS = "SELECT deal, entered, pipeline, stage, left_at, known FROM visit WHERE deal = ANY($1::text[])"
_SAVE_DEALS = """
INSERT INTO deal AS d (deal, state, version) SELECT deal, state, version FROM staged_deal
ON CONFLICT (deal) DO UPDATE SET state = excluded.state, version = excluded.version
WHERE d.version = excluded.version - 1
"""
_OVERWRITE_STATES = "UPDATE deal SET state = s.state FROM staged_deal AS s WHERE deal.deal = s.deal"
_DROP_VISITS = """
DELETE FROM visit USING unnest($1::text[], $2::timestamptz[]) AS w (deal, entered)
WHERE visit.deal = w.deal AND visit.entered = w.entered
"""
_SAVE_VISITS = f"""
INSERT INTO visit (deal, entered, pipeline, stage, left_at, known, progressed, recorded)
SELECT deal, {instant("entered")}, pipeline, stage, {instant("left_at")}, known, {instant("progressed")},
    {instant("recorded")}
FROM staged_visit
ON CONFLICT (deal, entered) DO UPDATE SET pipeline = excluded.pipeline, stage = excluded.stage,
    left_at = excluded.left_at, known = excluded.known, progressed = excluded.progressed, recorded = excluded.recorded
"""
_DROP_WITHDRAWN = "DELETE FROM withdrawn_visit WHERE deal = ANY($1::text[])"
_DROP_CLOSINGS = "DELETE FROM closing WHERE deal = ANY($1::text[])"
_CHANGES = "INSERT INTO span_change (series, deltas) SELECT * FROM unnest($1::text[], $2::bytea[])"
# SQL: the planned next step in the packed state of a deal `d`, in microseconds; see packed_states.
NEXT_STEP_AT = "(convert_from(d.state, 'UTF8')::json ->> 4)::bigint"
_ALL_EVENTS = """
SELECT deal, id, time, rank, data FROM event
WHERE $1::text[] IS NULL OR split_part(deal, ':', 1) = ANY($1) ORDER BY deal, time, rank, id
"""


class NewEvent(NamedTuple):
    """An event as it is stored: with its data as JSON text, and its time as a datetime.

    `source` was heard at `received`, in microseconds; None: the detector made the event itself, for a merge.
    """

    event: Event
    text: str
    at: datetime
    source: str | None
    received: int


class Inserted(NamedTuple):
    """`new`: the events to apply; `former`: those that are replaced; `first_seen`: the first of each unknown id."""

    new: list[Event]
    former: list[Event]
    first_seen: Sequence[NewEvent]


async def insert_events(connection: Connection, events: Sequence[NewEvent], direct: bool) -> Inserted:
    """Insert events.

    Of two with the same id the same one stays in any order of arrival, as in `fold.unique`. `direct`: first try an
    insert as if all were new.
    """
    if direct and await _all_are_new(connection, events):
        return Inserted([one.event for one in events], [], events)
    rows = ((deal, id_, time, rank, text) for (deal, (time, rank, id_), _), text, _, _, _ in events)
    await stage(connection, "staged_event", rows)
    new = {(row["deal"], row["id"]) for row in await connection.fetch(_NEW)}
    if len(new) == len(events):
        return Inserted([one.event for one in events], [], events)
    first: dict[tuple[str, str], NewEvent] = {}
    for one in events:
        if _key(one.event) in new:
            first.setdefault(_key(one.event), one)
    replaced = await _replace(connection, events)
    found = {key: one.event for key, one in first.items()} | {key: event for key, (_, event) in replaced.items()}
    former = [event for key, (event, _) in replaced.items() if key not in new]
    return Inserted(list(found.values()), former, list(first.values()))


async def _all_are_new(connection: Connection, events: Sequence[NewEvent]) -> bool:
    """Write all if all are new, else none: by COPY straight into the table, at half the database's work."""
    rows = ((deal, id_, at, rank, text) for (deal, (_, rank, id_), _), text, at, _, _ in events)
    try:
        async with connection.transaction():
            await connection.copy_records_to_table(
                "event", records=rows, columns=("deal", "id", "time", "rank", "data")
            )
    except UniqueViolationError:
        return False
    return True


async def _replace(connection: Connection, events: Sequence[NewEvent]) -> dict[tuple[str, str], tuple[Event, Event]]:
    """Replace what is stored under an id of `events` where another version takes precedence: (former, new)."""
    stored = {_key(event): event for event in map(event_of_row, await connection.fetch(_OTHERS))}
    better: dict[tuple[str, str], NewEvent] = {}
    for one in events:
        key = _key(one.event)
        if key in stored and precedence(one.event) < precedence(better[key].event if key in better else stored[key]):
            better[key] = one
    if better:
        changed = [one.event for one in better.values()]
        await connection.execute(
            _REPLACE,
            [e.deal for e in changed],
            [e.key.id for e in changed],
            [moment(e.key.time) for e in changed],
            [e.key.rank for e in changed],
            [one.text for one in better.values()],
        )
    return {key: (stored[key], one.event) for key, one in better.items()}


def _key(event: Event) -> tuple[str, str]:
    return event.deal, event.key.id


class StoredState(NamedTuple):
    """The packed state of a deal, and how often it has changed."""

    state: bytes
    version: int


# From a tuple, in a third of the time that the constructor takes.
_stored = partial(tuple.__new__, StoredState)


async def states(connection: Executor, deals: Sequence[str]) -> dict[str, StoredState]:
    """The stored states of those of these deals that are known."""
    rows = await connection.fetch(_STATES, orjson.dumps(deals).decode())
    return {deal: _stored((state, version)) for deal, state, version in rows}


async def events_of(connection: Executor, deals: Sequence[str]) -> dict[str, list[Event]]:
    """All events of these deals."""
    found: dict[str, list[Event]] = {deal: [] for deal in deals}
    for row in await connection.fetch(_EVENTS, deals):
        found[row["deal"]].append(event_of_row(row))
    return found


async def visits_of(connection: Executor, deals: Sequence[str]) -> dict[str, list[int]]:
    """When each of these deals entered its stored visits."""
    found: dict[str, list[int]] = {deal: [] for deal in deals}
    for row in await connection.fetch(_VISITS, deals):
        found[row["deal"]].append(micros(row["entered"]))
    return found


async def deals(connection: Connection, sources: Collection[str] | None = None) -> AsyncIterator[list[Event]]:
    """The events of one deal after another, of all sources or of some. Through a cursor, in bounded memory."""
    events: list[Event] = []
    async for row in connection.cursor(_ALL_EVENTS, None if sources is None else list(sources), prefetch=5000):
        event = event_of_row(row)
        if events and events[0].deal != event.deal:
            yield events
            events = []
        events.append(event)
    if events:
        yield events


def event_of_row(row: Record) -> Event:
    """The event of a row with deal, id, time, rank and data."""
    return Event(row["deal"], EventKey(micros(row["time"]), row["rank"], row["id"]), orjson.loads(row["data"]))


async def save_deals(connection: Connection, changed: Sequence[tuple[str, bytes, int]]) -> None:
    """Write (deal, state, version) in the order of deals; `version` is one more than that of the state before.

    Raises SerializationError when another batch has changed a deal in between, because its events came through two
    partitions. The batch is tried again, and reads the state as it is then.
    """
    await stage(connection, "staged_deal", sorted(changed))
    status = await connection.execute(_SAVE_DEALS)
    if int(status.rpartition(" ")[2]) != len(changed):
        raise SerializationError("another batch has changed a deal meanwhile")


async def overwrite_states(connection: Connection, states: Sequence[tuple[str, bytes]]) -> None:
    """Replace the states of deals that nobody else can write at the time."""
    await stage(connection, "staged_deal", ((deal, state, None) for deal, state in states))
    await connection.execute(_OVERWRITE_STATES)


async def drop_visits(connection: Executor, gone: Sequence[tuple[str, int]]) -> None:
    """Delete visits, each given by (deal, entered)."""
    if gone:
        await connection.execute(_DROP_VISITS, [deal for deal, _ in gone], [moment(entered) for _, entered in gone])


async def save_visits(connection: Connection, visits: Sequence[tuple[str, Visit]]) -> None:
    """Insert or update visits; those of one deal come in the order of entering."""
    if not visits:
        return
    rows = (
        (deal, v.entered, v.pipeline, v.stage, v.left, v.known, v.progressed, _recorded_later(v))
        for deal, v in sorted(visits, key=itemgetter(0))
    )
    await stage(connection, "staged_visit", rows)
    await connection.execute(_SAVE_VISITS)


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else moment(instant)


def _recorded_later(visit: Visit) -> int | None:
    """When the event happened that made the visit what it is, where that was after entering."""
    return visit.recorded if visit.recorded > visit.entered else None


async def drop_withdrawn(connection: Executor, deals: Sequence[str]) -> None:
    """Delete all withdrawn visits of these deals."""
    if deals:
        await connection.execute(_DROP_WITHDRAWN, deals)


async def add_withdrawn(connection: Connection, withdrawn: Sequence[tuple[str, WithdrawnVisit]]) -> None:
    """Append withdrawn visits, each with its deal."""
    if withdrawn:
        rows = [
            (deal, v.pipeline, v.stage, moment(v.entered), v.known, _moment(_recorded_later(v)), moment(until))
            for deal, (v, until) in withdrawn
        ]
        columns = ("deal", "pipeline", "stage", "entered", "known", "recorded", "until")
        await connection.copy_records_to_table("withdrawn_visit", records=rows, columns=columns)


async def drop_closings(connection: Executor, deals: Sequence[str]) -> None:
    """Delete all closings of these deals."""
    if deals:
        await connection.execute(_DROP_CLOSINGS, deals)


async def add_closings(connection: Connection, closings: Sequence[tuple[str, Closing]]) -> None:
    """Append closings, each with its deal."""
    if closings:
        rows = [(deal, c.time, c.pipeline, c.won, c.created) for deal, c in closings]
        columns = ("deal", "time", "pipeline", "won", "created")
        await connection.copy_records_to_table("closing", records=rows, columns=columns)


async def add_changes(connection: Executor, changes: Mapping[str, PackedDeltas]) -> None:
    """Append changes of counts, by series, for the evaluator."""
    if changes:
        await connection.execute(_CHANGES, list(changes), [deltas.raw for deltas in changes.values()])


def attributes(rows: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Name, amount, next step and the like of deals, from their packed states."""
    found = {}
    for row in rows:
        state = orjson.loads(row["state"])
        found[row["deal"]] = {**state[6], "next_step_at": state[4]}
    return found
