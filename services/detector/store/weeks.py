"""SQL of weekly measures: how far they are published, what has to be computed again, and the facts they come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.detector.store.history import event_of_row
from shared.flow.checkpoints import BEGINNING
from shared.flow.statistics.close_dates import CloseChange, close_changes
from shared.flow.statistics.measures import DealFacts
from shared.flow.visits import Closing, Event, Visit
from shared.postgres import locks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

_FIRST_EVENT = "SELECT first_event FROM week_state"
_LOWER_FIRST = "UPDATE week_state SET first_event = $1 WHERE first_event IS NULL OR first_event > $1"
_FIND_FIRST = """
UPDATE week_state SET first_event = (SELECT (extract(epoch FROM min(time)) * 1000000)::bigint FROM event)
"""
_MARK = "INSERT INTO stale_week VALUES ($1)"
_TAKE = "DELETE FROM stale_week RETURNING at"
_STATE = "SELECT first_event, policy, origin, numbering, over, reached, since FROM week_state FOR UPDATE"
_SAVE = """
UPDATE week_state SET first_event = $1, policy = $2, origin = $3, numbering = $4, over = $5, reached = $6, since = $7
"""
_FOLLOW_POLICY = "UPDATE week_state SET policy = $1 WHERE policy <> $1 RETURNING true"
_REBUILT = "UPDATE week_state SET reached = greatest(reached, $1), since = least(since, $2)"
_FORGET = "DELETE FROM measure WHERE period = 'week'"
# Deals that were in a stage in [$1, $2).
_DEALS = """
SELECT DISTINCT deal FROM visit WHERE entered < $2 AND (left_at IS NULL OR left_at >= $1)
"""
_VISITS = """
SELECT deal, entered, pipeline, stage, left_at, known FROM visit WHERE deal = ANY($1::text[]) AND entered < $2
ORDER BY deal, entered
"""
_CLOSES = """
SELECT deal, id, time, rank, data FROM event
WHERE deal = ANY($1::text[]) AND data LIKE '%"expected_close"%' AND time < $2
"""
_CLOSINGS = "SELECT pipeline, time, won, created FROM closing WHERE time >= $1 AND time < $2"
_CHUNK = 2000


@dataclass
class WeekState:
    """How far weekly measures are published; see the table."""

    first_event: int | None
    policy: str
    origin: int | None
    numbering: int
    over: int
    reached: int | None
    since: int | None


async def try_lock(connection: Connection) -> bool:
    """Become the only replica that publishes weeks, until the end of the transaction; False where another is."""
    return await locks.try_lock(connection, "weeks")


async def state(connection: Connection) -> WeekState:
    """How far weekly measures are published. Holds the row until the end of the transaction."""
    row = await connection.fetchrow(_STATE)
    return WeekState(*row) if row is not None else WeekState(None, "", None, 0, 0, None, None)


async def save_state(connection: Executor, state: WeekState) -> None:
    """Save what `state` gave, after changes."""
    s = state
    await connection.execute(_SAVE, s.first_event, s.policy, s.origin, s.numbering, s.over, s.reached, s.since)


async def first_event(executor: Executor) -> int | None:
    """The time of the first event of the log; None before there is one."""
    found: int | None = await executor.fetchval(_FIRST_EVENT)
    return found


async def lower_first_event(connection: Executor, instant: int) -> None:
    """There is an event at the instant."""
    await connection.execute(_LOWER_FIRST, instant)


async def find_first_event(connection: Executor) -> None:
    """Read the time of the first event from the history, after one was replaced."""
    await connection.execute(_FIND_FIRST)


async def mark(connection: Executor, since: int) -> None:
    """Measures must be computed again from an instant on."""
    await connection.execute(_MARK, since)


async def mark_all(connection: Executor) -> None:
    """All measures must be computed again."""
    await mark(connection, BEGINNING)


async def take_marks(connection: Connection) -> int | None:
    """Take all marks: the first instant from which on measures must be computed again."""
    return min((row["at"] for row in await connection.fetch(_TAKE)), default=None)


async def follow_policy(connection: Executor, digest: str) -> None:
    """Where measures depend on something else than before, all must be computed again."""
    if await connection.fetchval(_FOLLOW_POLICY, digest):
        await mark_all(connection)


async def rebuilt(connection: Executor, reached: int | None, since: int | None) -> None:
    """The history was folded anew, up to `reached`, and is evaluated again `since` an instant."""
    await find_first_event(connection)
    await connection.execute(_REBUILT, reached, since)
    await mark_all(connection)


async def forget(connection: Executor) -> None:
    """Delete the weekly points: weeks are other spans of time now."""
    await connection.execute(_FORGET)


async def facts(connection: Connection, start: int, end: int, zone: ZoneInfo) -> AsyncIterator[list[DealFacts]]:
    """What measures of `[start, end)` need, in parts: the deals that were in a stage then, and all closings."""
    since, until = moment(start), moment(end)
    closings = [Closing(*row) for row in await connection.fetch(_CLOSINGS, start, end)]
    yield [DealFacts((), closings, ())]
    deals: list[str] = []
    async for row in connection.cursor(_DEALS, since, until, prefetch=_CHUNK):
        deals.append(row["deal"])
        if len(deals) == _CHUNK:
            yield await _facts_of(connection, deals, end, zone)
            deals = []
    yield await _facts_of(connection, deals, end, zone)


async def _facts_of(connection: Connection, deals: Sequence[str], end: int, zone: ZoneInfo) -> list[DealFacts]:
    visits: dict[str, list[Visit]] = {}
    for row in await connection.fetch(_VISITS, deals, moment(end)):
        visits.setdefault(row["deal"], []).append(_visit(row))
    told: dict[str, list[Event]] = {}
    for row in await connection.fetch(_CLOSES, deals, moment(end)):
        told.setdefault(row["deal"], []).append(event_of_row(row))
    return [DealFacts(some, (), _closes(told.get(deal, []), zone)) for deal, some in visits.items()]


def _closes(events: list[Event], zone: ZoneInfo) -> list[CloseChange]:
    events.sort(key=lambda event: event.key)
    return close_changes(events, zone)


def _visit(row: Record) -> Visit:
    left = None if row["left_at"] is None else micros(row["left_at"])
    return Visit(row["pipeline"], row["stage"], micros(row["entered"]), row["known"], left)
