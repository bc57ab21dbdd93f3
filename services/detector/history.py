"""SQL of what was said and where deals are: events, deals, visits, changes of counts. Bulk statements only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from services.detector.clocks import micros, moment
from services.detector.flow import Event, Key, Visit
from services.detector.packing import pack
from services.detector.rules import Series

_NEW = """
INSERT INTO event (deal, id, time, rank, said)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::smallint[], $5::text[])
ON CONFLICT DO NOTHING RETURNING deal, id
"""
_STATES = "SELECT deal, state FROM deal WHERE deal = ANY($1::text[])"
_EVENTS = "SELECT deal, id, time, rank, said FROM event WHERE deal = ANY($1::text[]) ORDER BY deal, time, rank, id"
_VISITS = "SELECT deal, entered, pipeline, stage, left_at, known FROM visit WHERE deal = ANY($1::text[])"
_SAVE_DEALS = """
INSERT INTO deal (deal, state) SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (deal) DO UPDATE SET state = excluded.state
"""
_DROP_VISITS = """
DELETE FROM visit USING unnest($1::text[], $2::timestamptz[]) AS w (deal, entered)
WHERE visit.deal = w.deal AND visit.entered = w.entered
"""
_SAVE_VISITS = """
INSERT INTO visit (deal, entered, pipeline, stage, left_at, known, progressed)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[], $6::bool[],
    $7::timestamptz[])
ON CONFLICT (deal, entered) DO UPDATE SET pipeline = excluded.pipeline, stage = excluded.stage,
    left_at = excluded.left_at, known = excluded.known, progressed = excluded.progressed
"""
_CHANGES = "INSERT INTO span_change (series, deltas) SELECT * FROM unnest($1::text[], $2::bytea[])"
_ALL_EVENTS = "SELECT deal, id, time, rank, said FROM event ORDER BY deal, time, rank, id"


@dataclass(frozen=True, slots=True)
class Said:
    """An event as it is stored: the core's form, its time, and what was said as text."""

    event: Event
    time: datetime
    text: str


async def insert_events(connection: Any, said: Sequence[Said]) -> set[tuple[str, str]]:
    """Write what is new; the (deal, id) of what was."""
    events = [s.event for s in said]
    rows = await connection.fetch(
        _NEW, [e.deal for e in events], [e.key.id for e in events], [s.time for s in said],
        [e.key.rank for e in events], [s.text for s in said],
    )  # fmt: skip
    return {(row["deal"], row["id"]) for row in rows}


async def states(connection: Any, deals: Sequence[str]) -> dict[str, bytes]:
    """The packed state of each deal that is known."""
    return {row["deal"]: row["state"] for row in await connection.fetch(_STATES, deals)}


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


async def save_deals(connection: Any, packed: Sequence[tuple[str, bytes]]) -> None:
    """Write states, in the order of deals."""
    ordered = sorted(packed)
    await connection.execute(_SAVE_DEALS, [deal for deal, _ in ordered], [state for _, state in ordered])


async def drop_visits(connection: Any, gone: Sequence[tuple[str, int]]) -> None:
    """Remove visits that are no more."""
    if gone:
        await connection.execute(_DROP_VISITS, [deal for deal, _ in gone], [moment(entered) for _, entered in gone])


async def save_visits(connection: Any, stays: Sequence[tuple[str, Visit]]) -> None:
    """Write visits as they are now."""
    if not stays:
        return
    stays = sorted(stays, key=lambda stay: (stay[0], stay[1].entered))
    visits = [visit for _, visit in stays]
    await connection.execute(
        _SAVE_VISITS, [deal for deal, _ in stays], [moment(v.entered) for v in visits], [v.pipeline for v in visits],
        [v.stage for v in visits], [None if v.left is None else moment(v.left) for v in visits],
        [v.known for v in visits], [moment(v.progressed) for v in visits],
    )  # fmt: skip


async def add_changes(connection: Any, changes: dict[Series, list[tuple[int, int]]]) -> None:
    """Append changes of counts for the judge."""
    some = {series.text: pack(found) for series, found in changes.items() if found}
    if some:
        await connection.execute(_CHANGES, list(some), list(some.values()))


def described(rows: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """What is known of deals beside their visits, from packed states."""
    found = {}
    for row in rows:
        state = orjson.loads(row["state"])
        found[row["deal"]] = {**state[6], "next_step_at": state[4]}
    return found
