"""SQL of the evaluation: its state, changes of counts, buckets, checkpoints, due instants, problems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.contracts.problems import Mode
from shared.flow.checkpoints import BEGINNING, Checkpoint
from shared.flow.deltas import SLOT, PackedDeltas
from shared.flow.intervals import Interval
from shared.flow.problem_fields import rule_version
from shared.flow.rules import Rule, Series
from shared.postgres import locks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

_LOCK = "evaluation"
_STATE = "SELECT watermark, held FROM evaluation_state"
_SAVE_WATERMARK = "UPDATE evaluation_state SET watermark = $1"
_HOLD = "UPDATE evaluation_state SET held = $1"
_POLICY_VERSION = "SELECT policy_version FROM evaluation_state"
_SAVE_POLICY_VERSION = "UPDATE evaluation_state SET policy_version = $1"
_NEWEST = "SELECT max(id) FROM span_change"
_TAKE = """
DELETE FROM span_change WHERE id IN (SELECT id FROM span_change WHERE id <= $1 ORDER BY id LIMIT $2)
RETURNING series, deltas
"""
_SAVE_LATE = "INSERT INTO late_change SELECT * FROM unnest($1::text[], $2::bytea[])"
_TAKE_LATE = "DELETE FROM late_change WHERE series = ANY($1::text[]) RETURNING series, deltas"
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
_NEWEST_POINTS = """
SELECT w.series, c.at, c.states FROM unnest($1::text[]) AS w (series)
CROSS JOIN LATERAL (SELECT at, states FROM checkpoint WHERE series = w.series ORDER BY at DESC LIMIT 1) AS c
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
_PUBLISHED = """
SELECT key, opened_at, cleared_at, peak, published_count, mode FROM problem
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
INSERT INTO problem (key, opened_at, cleared_at, peak, published_count, kind, pipeline, stage, mode, rule,
    policy_version, historic, detected_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak,
    published_count = excluded.published_count, mode = excluded.mode
"""


class EvaluationState(NamedTuple):
    """`watermark`: up to which instant everything is evaluated. `held`: evaluation waits for `andon reevaluate`."""

    watermark: int | None
    held: bool


@dataclass(frozen=True)
class PublishedInterval:
    """An interval as last published; `published_count` is the peak that was published last."""

    interval: Interval
    published_count: int
    mode: Mode


async def policy_version(executor: Executor) -> int:
    """The version of the policy that is judged by; 0: the policy file, or none yet."""
    version: int = await executor.fetchval(_POLICY_VERSION)
    return version


async def save_policy_version(connection: Connection, version: int) -> None:
    """From the watermark on, judge by this version."""
    await connection.execute(_SAVE_POLICY_VERSION, version)


async def try_lock(connection: Connection) -> bool:
    """Become the only replica that evaluates, until the end of the transaction; False where another is."""
    return await locks.try_lock(connection, _LOCK)


async def lock(connection: Connection) -> None:
    """Wait to become the only replica that evaluates, until the end of the transaction."""
    await locks.lock(connection, _LOCK)


async def state(connection: Executor) -> EvaluationState:
    """How far evaluation has come."""
    row = await connection.fetchrow(_STATE)
    return EvaluationState(*row) if row is not None else EvaluationState(None, False)


async def save_watermark(connection: Executor, instant: int) -> None:
    """Everything up to the instant is evaluated."""
    await connection.execute(_SAVE_WATERMARK, instant)


async def set_held(connection: Executor, held: bool) -> None:
    """Store events without evaluating them, or evaluate again."""
    await connection.execute(_HOLD, held)


async def take_changes(connection: Connection, edge: int, at_once: int) -> AsyncIterator[dict[str, PackedDeltas]]:
    """Take the changes that the writers appended since the last pass, by series; those before `edge` moved to it.

    In portions of `at_once` rows, to bound memory. How to take back the moves is kept for `take_late`.
    """
    newest = await connection.fetchval(_NEWEST)
    has_more = newest is not None
    while has_more:
        rows = await connection.fetch(_TAKE, newest, at_once)
        has_more = len(rows) == at_once
        taken: dict[str, list[PackedDeltas]] = {}
        for row in rows:
            taken.setdefault(row["series"], []).append(PackedDeltas(row["deltas"]))
        moved = {series: PackedDeltas.correction(parts, edge) for series, parts in taken.items()}
        if late := {series: deltas.raw for series, deltas in moved.items() if deltas}:
            await connection.execute(_SAVE_LATE, list(late), list(late.values()))
        combined = ((series, PackedDeltas.combine(parts, edge)) for series, parts in taken.items())
        yield {series: deltas for series, deltas in combined if deltas}


async def take_late(connection: Connection, series: Sequence[str]) -> dict[str, list[PackedDeltas]]:
    """Take what moves late changes of these series from the edge, where they took effect, to their own instants."""
    found: dict[str, list[PackedDeltas]] = {}
    for row in await connection.fetch(_TAKE_LATE, series):
        found.setdefault(row["series"], []).append(PackedDeltas(row["deltas"]))
    return found


async def merge(connection: Connection, changes: Mapping[str, PackedDeltas]) -> None:
    """Merge changes into the buckets."""
    slots = {(series, slot): part for series, deltas in changes.items() for slot, part in deltas.by_slot()}
    if not slots:
        return
    names, numbers = [series for series, _ in slots], [slot for _, slot in slots]
    rows = await connection.fetch(_BUCKETS, names, numbers)
    stored = {(row["series"], row["slot"]): PackedDeltas(row["deltas"]) for row in rows}
    buckets = {key: stored[key].merge(more) if key in stored else more for key, more in slots.items()}
    full = [(key, deltas) for key, deltas in buckets.items() if deltas]
    empty = [key for key, deltas in buckets.items() if not deltas]
    await connection.execute(
        _SAVE_BUCKETS,
        [series for (series, _), _ in full],
        [slot for (_, slot), _ in full],
        [deltas.first_at for _, deltas in full],
        [deltas.raw for _, deltas in full],
    )
    if empty:
        await connection.execute(_EMPTY, [series for series, _ in empty], [slot for _, slot in empty])


async def due(connection: Executor, until: int) -> set[str]:
    """The series in which something is due by then."""
    return {row["series"] for row in await connection.fetch(_DUE, until)}


async def set_due(connection: Executor, instants: Mapping[str, int], earlier_only: bool = False) -> None:
    """Save when to evaluate each series again; with `earlier_only` only where that is before the saved instant."""
    if instants:
        await connection.execute(_SAVE_DUE, list(instants), list(instants.values()), not earlier_only)


async def starts(connection: Executor, before: Mapping[str, int]) -> dict[str, Checkpoint]:
    """The newest checkpoint of each series before an instant; the beginning where there is none."""
    found = {series: Checkpoint(BEGINNING) for series in before}
    for row in await connection.fetch(_START, list(before), list(before.values())):
        found[row["series"]] = Checkpoint.unpack(row["at"], row["states"])
    return found


async def newest_points(connection: Executor, series: Sequence[str]) -> dict[str, Checkpoint]:
    """The newest checkpoint of each series: how it stands at the watermark. The beginning where there is none."""
    found = {name: Checkpoint(BEGINNING) for name in series}
    for row in await connection.fetch(_NEWEST_POINTS, list(series)):
        found[row["series"]] = Checkpoint.unpack(row["at"], row["states"])
    return found


async def buckets(connection: Executor, after: Mapping[str, int], last: int) -> dict[str, list[PackedDeltas]]:
    """The buckets of each series, in order, from the one that holds an instant to the slot `last`."""
    found: dict[str, list[PackedDeltas]] = {series: [] for series in after}
    slots = [instant // SLOT for instant in after.values()]
    for row in await connection.fetch(_RANGE, list(after), slots, [last] * len(slots)):
        found[row["series"]].append(PackedDeltas(row["deltas"]))
    return found


async def following(connection: Executor, series: Sequence[str], slot: int) -> dict[str, int]:
    """The instant of the first change of each series in a later slot."""
    return {row["series"]: row["first_at"] for row in await connection.fetch(_FOLLOWING, list(series), slot)}


async def save_checkpoints(connection: Executor, after: Mapping[str, int], new: Mapping[str, list[Checkpoint]]) -> None:
    """Replace the checkpoints of each series that are later than an instant."""
    await connection.execute(_FORGET, list(after), list(after.values()))
    rows = [(series, point) for series, points in new.items() for point in points]
    await connection.execute(
        _SAVE_CHECKPOINTS, [s for s, _ in rows], [p.at for _, p in rows], [p.pack() for _, p in rows]
    )


async def checkpoints(connection: Executor, series: Sequence[str]) -> dict[str, list[int]]:
    """The instants of the checkpoints of each series, in order."""
    found: dict[str, list[int]] = {}
    for row in await connection.fetch(_CHECKPOINTS, list(series)):
        found.setdefault(row["series"], []).append(row["at"])
    return found


async def drop_checkpoints(connection: Executor, gone: Sequence[tuple[str, int]]) -> None:
    """Delete checkpoints, each given by (series, instant)."""
    if gone:
        await connection.execute(_DROP_CHECKPOINTS, [s for s, _ in gone], [at for _, at in gone])


async def published(connection: Executor, since: Mapping[str, int]) -> dict[str, dict[int, PublishedInterval]]:
    """By problem key and opening: the published intervals that last beyond the key's instant."""
    found: dict[str, dict[int, PublishedInterval]] = {key: {} for key in since}
    if not found:
        return found
    rows = await connection.fetch(_PUBLISHED, list(since), [moment(max(at, 0)) for at in since.values()])
    for row in rows:
        cleared = None if row["cleared_at"] is None else micros(row["cleared_at"])
        interval = Interval(micros(row["opened_at"]), cleared, row["peak"])
        found[row["key"]][interval.opened_at] = PublishedInterval(interval, row["published_count"], Mode(row["mode"]))
    return found


async def take_unruled(connection: Executor, keys: Sequence[str], since: int) -> list[Record]:
    """Delete and return the intervals that last beyond `since` of keys that no rule has any more."""
    return list(await connection.fetch(_UNRULED, list(keys), moment(max(since, 0))))


async def drop_problems(connection: Executor, gone: Sequence[tuple[str, int]]) -> None:
    """Delete intervals, each given by (key, opened at)."""
    if gone:
        await connection.execute(_DROP_PROBLEMS, [key for key, _ in gone], [moment(at) for _, at in gone])


async def save_problem(
    connection: Executor, rule: Rule, now: PublishedInterval, version: str, historic: bool, detected_at: datetime
) -> None:
    """Insert or update one interval; `version` is that of the policy."""
    interval = now.interval
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    await connection.execute(
        _SAVE_PROBLEM,
        rule.key,
        moment(interval.opened_at),
        cleared,
        interval.peak,
        now.published_count,
        rule.kind,
        rule.pipeline,
        rule.stage,
        now.mode.value,
        rule_version(rule),
        version,
        historic,
        detected_at,
    )


def series_of(text: str) -> Series:
    """The series that a name stands for."""
    return Series(*text.split("\x1f"))
