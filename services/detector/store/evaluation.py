"""SQL of the judge: changes of counts, buckets, checkpoints, due instants, problems, daily samples."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.problems import Mode
from shared.flow.checkpoints import BEGINNING, Checkpoint
from shared.flow.deltas import SLOT, by_slot, clamped, first_at, in_order, merged
from shared.flow.intervals import Interval
from shared.flow.rules import Rule, Series
from shared.runtime.instants import micros, moment

_LOCK = (
    "SELECT pg_try_advisory_xact_lock(hashtextextended('andon.judge.' || current_database() || current_schema(), 0))"
)
_NEWEST = "SELECT max(id) FROM span_change"
_TAKE = """
DELETE FROM span_change WHERE id IN (SELECT id FROM span_change WHERE id <= $1 ORDER BY id LIMIT $2)
RETURNING series, deltas
"""
TAKEN_AT_ONCE = 100
_BUCKETS = """
SELECT series, slot, deltas FROM bucket JOIN unnest($1::text[], $2::bigint[]) AS w (series, slot) USING (series, slot)
"""
_SAVE_BUCKETS = """
INSERT INTO bucket SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])
ON CONFLICT (series, slot) DO UPDATE SET first_at = excluded.first_at, deltas = excluded.deltas
"""
_EMPTY = """
DELETE FROM bucket USING unnest($1::text[], $2::bigint[]) AS w (series, slot)
WHERE bucket.series = w.series AND bucket.slot = w.slot
"""
_DUE = "SELECT series FROM due WHERE at <= $1"
_SAVE_DUE = """
INSERT INTO due SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (series) DO UPDATE SET at = CASE WHEN $3 THEN excluded.at ELSE least(due.at, excluded.at) END
"""
_START = """
SELECT w.series, c.at, c.states FROM unnest($1::text[], $2::bigint[]) AS w (series, before)
CROSS JOIN LATERAL (
    SELECT at, states FROM checkpoint WHERE series = w.series AND at < w.before ORDER BY at DESC LIMIT 1
) AS c
"""
_RANGE = """
SELECT w.series, b.deltas FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w (series, first, last)
JOIN bucket AS b ON b.series = w.series AND b.slot BETWEEN w.first AND w.last ORDER BY b.slot
"""
_FOLLOWING = """
SELECT w.series, b.first_at FROM unnest($1::text[]) AS w (series)
CROSS JOIN LATERAL (SELECT first_at FROM bucket WHERE series = w.series AND slot > $2 ORDER BY slot LIMIT 1) AS b
"""
_FORGET = """
DELETE FROM checkpoint USING unnest($1::text[], $2::bigint[]) AS w (series, after)
WHERE checkpoint.series = w.series AND checkpoint.at > w.after
"""
_SAVE_CHECKPOINTS = "INSERT INTO checkpoint SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[])"
_CHECKPOINTS = "SELECT series, at FROM checkpoint WHERE series = ANY($1::text[]) ORDER BY series, at"
_DROP_CHECKPOINTS = """
DELETE FROM checkpoint USING unnest($1::text[], $2::bigint[]) AS w (series, at)
WHERE checkpoint.series = w.series AND checkpoint.at = w.at
"""
_TOLD = """
SELECT key, opened_at, cleared_at, peak, told, mode FROM problem
JOIN unnest($1::text[], $2::timestamptz[]) AS w (key, since) USING (key) WHERE cleared_at IS NULL OR cleared_at > since
"""
_UNRULED = """
DELETE FROM problem WHERE key <> ALL($1::text[]) AND (cleared_at IS NULL OR cleared_at > $2)
RETURNING key, opened_at, cleared_at, peak, kind, pipeline, stage, mode, rule, policy_version
"""
_DROP_PROBLEMS = """
DELETE FROM problem USING unnest($1::text[], $2::timestamptz[]) AS w (key, opened_at)
WHERE problem.key = w.key AND problem.opened_at = w.opened_at
"""
_SAVE_PROBLEM = """
INSERT INTO problem (key, opened_at, cleared_at, peak, told, kind, pipeline, stage, mode, rule, policy_version,
    historic, detected_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak,
    told = excluded.told, mode = excluded.mode
"""


@dataclass(frozen=True)
class PublishedInterval:
    """An interval as it was last told; `told` is the count at the last telling."""

    interval: Interval
    told: int
    mode: Mode


async def try_lock(connection: Any) -> bool:
    """One judge at a time, until the end of the transaction."""
    return bool(await connection.fetchval(_LOCK))


async def lock(connection: Any) -> None:
    """Wait to be the judge, until the end of the transaction."""
    await connection.execute(_LOCK.replace("pg_try_advisory", "pg_advisory"))


async def take_changes(connection: Any, edge: int) -> AsyncIterator[dict[str, bytes]]:
    """What the writers appended since the last pass, packed by series, in parts that memory has room for.

    What lies before `edge` takes effect there.
    """
    newest = await connection.fetchval(_NEWEST)
    while rows := await connection.fetch(_TAKE, newest, TAKEN_AT_ONCE):
        taken: dict[str, list[int]] = {}
        for row in rows:
            taken.setdefault(row["series"], []).extend(clamped(row["deltas"], edge))
        yield {series: raw for series, numbers in taken.items() if (raw := in_order(numbers))}


async def merge(connection: Any, changes: dict[str, bytes]) -> None:
    """Put changes into the buckets."""
    slots = {(series, slot): part for series, raw in changes.items() for slot, part in by_slot(raw)}
    if not slots:
        return
    names, numbers = [series for series, _ in slots], [slot for _, slot in slots]
    there = {(r["series"], r["slot"]): r["deltas"] for r in await connection.fetch(_BUCKETS, names, numbers)}
    buckets = {place: merged(there.get(place, b""), more) for place, more in slots.items()}
    full = [(place, raw) for place, raw in buckets.items() if raw]
    empty = [place for place, raw in buckets.items() if not raw]
    await connection.execute(
        _SAVE_BUCKETS,
        [s for (s, _), _ in full],
        [n for (_, n), _ in full],
        [first_at(raw) for _, raw in full],
        [raw for _, raw in full],
    )
    if empty:
        await connection.execute(_EMPTY, [s for s, _ in empty], [n for _, n in empty])


async def due(connection: Any, until: int) -> set[str]:
    """The series in which something falls due by then."""
    return {row["series"] for row in await connection.fetch(_DUE, until)}


async def set_due(connection: Any, instants: dict[str, int], earlier_only: bool = False) -> None:
    """When each series must be looked at again."""
    if instants:
        await connection.execute(_SAVE_DUE, list(instants), list(instants.values()), not earlier_only)


async def starts(connection: Any, before: dict[str, int]) -> dict[str, Checkpoint]:
    """The newest checkpoint of each series before an instant; the beginning where there is none."""
    found = {series: Checkpoint(BEGINNING) for series in before}
    for row in await connection.fetch(_START, list(before), list(before.values())):
        found[row["series"]] = Checkpoint.unpack(row["at"], row["states"])
    return found


async def boundaries(connection: Any, after: dict[str, int], last: int) -> dict[str, list[bytes]]:
    """The buckets of each series from an instant's up to the slot `last`, in order: packed, as memory has room for."""
    found: dict[str, list[bytes]] = {series: [] for series in after}
    slots = [instant // SLOT for instant in after.values()]
    for row in await connection.fetch(_RANGE, list(after), slots, [last] * len(slots)):
        found[row["series"]].append(row["deltas"])
    return found


async def following(connection: Any, series: Sequence[str], slot: int) -> dict[str, int]:
    """The first boundary of each series in a later slot."""
    return {row["series"]: row["first_at"] for row in await connection.fetch(_FOLLOWING, list(series), slot)}


async def save_checkpoints(connection: Any, after: dict[str, int], new: dict[str, list[Checkpoint]]) -> None:
    """Forget the checkpoints after where the pass began, and keep those that it made."""
    await connection.execute(_FORGET, list(after), list(after.values()))
    rows = [(series, point) for series, points in new.items() for point in points]
    await connection.execute(
        _SAVE_CHECKPOINTS, [s for s, _ in rows], [p.at for _, p in rows], [p.pack() for _, p in rows]
    )


async def checkpoints(connection: Any, series: Sequence[str]) -> dict[str, list[int]]:
    """The instants of the checkpoints of each series, in order."""
    found: dict[str, list[int]] = {}
    for row in await connection.fetch(_CHECKPOINTS, list(series)):
        found.setdefault(row["series"], []).append(row["at"])
    return found


async def drop_checkpoints(connection: Any, which: Sequence[tuple[str, int]]) -> None:
    if which:
        await connection.execute(_DROP_CHECKPOINTS, [s for s, _ in which], [at for _, at in which])


async def told(connection: Any, since: dict[str, int]) -> dict[str, dict[int, PublishedInterval]]:
    """The intervals of each problem key that lasted beyond an instant, by their opening."""
    found: dict[str, dict[int, PublishedInterval]] = {key: {} for key in since}
    rows = await connection.fetch(_TOLD, list(since), [moment(max(at, 0)) for at in since.values()])
    for row in rows:
        cleared = None if row["cleared_at"] is None else micros(row["cleared_at"])
        interval = Interval(micros(row["opened_at"]), cleared, row["peak"])
        found[row["key"]][interval.opened_at] = PublishedInterval(interval, row["told"], Mode(row["mode"]))
    return found


async def take_unruled(connection: Any, keys: Sequence[str], since: int) -> list[Any]:
    """Remove the intervals that no rule of the policy finds any more, and give them."""
    return list(await connection.fetch(_UNRULED, list(keys), moment(max(since, 0))))


async def drop_problems(connection: Any, gone: Sequence[tuple[str, int]]) -> None:
    if gone:
        await connection.execute(_DROP_PROBLEMS, [key for key, _ in gone], [moment(at) for _, at in gone])


async def save_problem(
    connection: Any, rule: Rule, now: PublishedInterval, version: str, historic: bool, detected_at: Any
) -> None:
    """Write one interval as it is now."""
    interval = now.interval
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    await connection.execute(
        _SAVE_PROBLEM,
        rule.key,
        moment(interval.opened_at),
        cleared,
        interval.peak,
        now.told,
        rule.kind,
        rule.pipeline,
        rule.stage,
        now.mode.value,
        f"{rule.kind}/{rule.version}",
        version,
        historic,
        detected_at,
    )


def series_of(text: str) -> Series:
    """The series that a name stands for."""
    return Series(*text.split("\x1f"))
