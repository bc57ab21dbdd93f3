"""SQL of what was said and where deals are: events, deals, visits, changes of counts. Bulk statements only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from asyncpg import SerializationError, UniqueViolationError

from services.detector.store.copy_tables import instant, stage
from shared.flow.visits import Event, Key, Visit, precedence
from shared.runtime.instants import micros, moment

_NEW = f"""
INSERT INTO event (deal, id, time, rank, said)
SELECT deal, id, {instant("time")}, rank, said FROM staged_event ON CONFLICT DO NOTHING
RETURNING deal, id
"""
_OTHERS = f"""
SELECT event.deal, event.id, event.time, event.rank, event.said FROM event JOIN staged_event AS s USING (deal, id)
WHERE (event.time, event.rank, event.said) IS DISTINCT FROM ({instant("s.time")}, s.rank, s.said)
"""
_REPLACE = """
UPDATE event SET time = w.time, rank = w.rank, said = w.said
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::smallint[], $5::text[]) AS w (deal, id, time, rank, said)
WHERE event.deal = w.deal AND event.id = w.id
"""
_STATES = "SELECT deal, state, version FROM deal WHERE deal = ANY($1::text[])"
_EVENTS = "SELECT deal, id, time, rank, said FROM event WHERE deal = ANY($1::text[]) ORDER BY deal, time, rank, id"
_VISITS = "SELECT deal, entered, pipeline, stage, left_at, known FROM visit WHERE deal = ANY($1::text[])"
_SAVE_DEALS = """
INSERT INTO deal AS d (deal, state, version) SELECT deal, state, version FROM staged_deal
ON CONFLICT (deal) DO UPDATE SET state = excluded.state, version = excluded.version
WHERE d.version = excluded.version - 1
"""
_RESTATE_DEALS = "UPDATE deal SET state = s.state FROM staged_deal AS s WHERE deal.deal = s.deal"
_DROP_VISITS = """
DELETE FROM visit USING unnest($1::text[], $2::timestamptz[]) AS w (deal, entered)
WHERE visit.deal = w.deal AND visit.entered = w.entered
"""
_SAVE_VISITS = f"""
INSERT INTO visit (deal, entered, pipeline, stage, left_at, known, progressed)
SELECT deal, {instant("entered")}, pipeline, stage, {instant("left_at")}, known, {instant("progressed")}
FROM staged_visit
ON CONFLICT (deal, entered) DO UPDATE SET pipeline = excluded.pipeline, stage = excluded.stage,
    left_at = excluded.left_at, known = excluded.known, progressed = excluded.progressed
"""
_CHANGES = "INSERT INTO span_change (series, deltas) SELECT * FROM unnest($1::text[], $2::bytea[])"
# SQL: the planned next step in the packed state of a deal `d`, in microseconds; see DealState.pack.
NEXT_STEP_AT = "(convert_from(d.state, 'UTF8')::json ->> 4)::bigint"
_ALL_EVENTS = "SELECT deal, id, time, rank, said FROM event ORDER BY deal, time, rank, id"


class NewEvent(NamedTuple):
    """An event as it is stored: the core's form, what was said as text, its time."""

    event: Event
    text: str
    at: datetime


async def insert_events(connection: Any, said: Sequence[NewEvent], straight: bool) -> tuple[list[Event], list[Event]]:
    """Write what is new; gives what was, and the earlier forms of events that have another now.

    Of two that share an id the same one is kept in whatever order they come, as in `flow.unique`. `straight`: they are
    likely to be all new, and are written so first.
    """
    if straight and await _all_new(connection, said):
        return [s.event for s in said], []
    rows = [(deal, number, time, rank, text) for (deal, (time, rank, number), _), text, _ in said]
    await stage(connection, "staged_event", rows)
    new = {(row["deal"], row["id"]) for row in await connection.fetch(_NEW)}
    if len(new) == len(said):
        return [s.event for s in said], []
    found: dict[tuple[str, str], Event] = {}
    for s in said:
        if _place(s.event) in new:
            found.setdefault(_place(s.event), s.event)
    replaced = await _replace(connection, said)
    found |= {place: event for place, (_, event) in replaced.items()}
    return list(found.values()), [was for place, (was, _) in replaced.items() if place not in new]


async def _all_new(connection: Any, said: Sequence[NewEvent]) -> bool:
    """Write all if all are new, by COPY straight into the table: half the database's work; else nothing."""
    rows = [(deal, number, at, rank, text) for (deal, (_, rank, number), _), text, at in said]
    try:
        async with connection.transaction():
            await connection.copy_records_to_table(
                "event", records=rows, columns=("deal", "id", "time", "rank", "said")
            )
    except UniqueViolationError:
        return False
    return True


async def _replace(connection: Any, said: Sequence[NewEvent]) -> dict[tuple[str, str], tuple[Event, Event]]:
    """Where something else is stored under an id of `said` and has to give way: (what was stored, what is now)."""
    stored = {_place(event): event for event in map(event_of_row, await connection.fetch(_OTHERS))}
    better: dict[tuple[str, str], NewEvent] = {}
    for s in said:
        place = _place(s.event)
        if place in stored and precedence(s.event) < precedence(
            better[place].event if place in better else stored[place]
        ):
            better[place] = s
    if better:
        events = [s.event for s in better.values()]
        await connection.execute(
            _REPLACE,
            [e.deal for e in events],
            [e.key.id for e in events],
            [moment(e.key.time) for e in events],
            [e.key.rank for e in events],
            [s.text for s in better.values()],
        )
    return {place: (stored[place], s.event) for place, s in better.items()}


def _place(event: Event) -> tuple[str, str]:
    return event.deal, event.key.id


class Stored(NamedTuple):
    """The packed state of a deal, and how often it was changed."""

    state: bytes
    version: int


async def states(connection: Any, deals: Sequence[str]) -> dict[str, Stored]:
    """What is stored of each deal that is known."""
    return {row["deal"]: Stored(row["state"], row["version"]) for row in await connection.fetch(_STATES, deals)}


async def events_of(connection: Any, deals: Sequence[str]) -> dict[str, list[Event]]:
    """All events of these deals."""
    found: dict[str, list[Event]] = {deal: [] for deal in deals}
    for row in await connection.fetch(_EVENTS, deals):
        found[row["deal"]].append(event_of_row(row))
    return found


async def visits_of(connection: Any, deals: Sequence[str]) -> dict[str, list[int]]:
    """The instants of entering that are stored for these deals."""
    found: dict[str, list[int]] = {deal: [] for deal in deals}
    for row in await connection.fetch(_VISITS, deals):
        found[row["deal"]].append(micros(row["entered"]))
    return found


async def all_events(connection: Any) -> Any:
    """Every event, deal by deal, through a cursor: bounded memory."""
    async for row in connection.cursor(_ALL_EVENTS, prefetch=5000):
        yield event_of_row(row)


def event_of_row(row: Any) -> Event:
    return Event(row["deal"], Key(micros(row["time"]), row["rank"], row["id"]), orjson.loads(row["said"]))


async def save_deals(connection: Any, changed: Sequence[tuple[str, bytes, int]]) -> None:
    """Write (deal, state, version) in the order of deals; `version` is one more than that of the state gone on from.

    Raises SerializationError when a deal was changed meanwhile: its events came through two partitions at once. The
    batch is tried again, and reads what is there then.
    """
    await stage(connection, "staged_deal", sorted(changed))
    status = await connection.execute(_SAVE_DEALS)
    if int(status.rpartition(" ")[2]) != len(changed):
        raise SerializationError("a deal was changed by another batch meanwhile")


async def restate_deals(connection: Any, packed: Sequence[tuple[str, bytes]]) -> None:
    """Write states anew while nobody else writes any."""
    await stage(connection, "staged_deal", [(deal, state, None) for deal, state in packed])
    await connection.execute(_RESTATE_DEALS)


async def drop_visits(connection: Any, gone: Sequence[tuple[str, int]]) -> None:
    """Remove visits that are no more."""
    if gone:
        await connection.execute(_DROP_VISITS, [deal for deal, _ in gone], [moment(entered) for _, entered in gone])


async def save_visits(connection: Any, stays: Sequence[tuple[str, Visit]]) -> None:
    """Write visits as they are now."""
    if not stays:
        return
    rows = [(deal, v.entered, v.pipeline, v.stage, v.left, v.known, v.progressed) for deal, v in stays]
    await stage(connection, "staged_visit", sorted(rows, key=itemgetter(0, 1)))
    await connection.execute(_SAVE_VISITS)


async def add_changes(connection: Any, changes: dict[str, bytes]) -> None:
    """Append changes of counts for the judge, packed by series."""
    if changes:
        await connection.execute(_CHANGES, list(changes), list(changes.values()))


def described(rows: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """What is known of deals beside their visits, from packed states."""
    found = {}
    for row in rows:
        state = orjson.loads(row["state"])
        found[row["deal"]] = {**state[6], "next_step_at": state[4]}
    return found
