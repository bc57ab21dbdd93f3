"""SQL of the intervals of problems as last published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contracts.problems import Mode
from shared.flow.intervals import Interval
from shared.flow.problem_fields import ProblemRule, rule_version
from shared.postgres import locks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

_PUBLISHED = """
SELECT key, opened_at, cleared_at, peak, mode, published_peak FROM problem
JOIN unnest($1::text[], $2::timestamptz[]) AS w (key, since) USING (key) WHERE cleared_at IS NULL OR cleared_at > since
"""
_UNRULED = """
DELETE FROM problem USING unnest($1::text[], $2::timestamptz[]) AS w (name, since)
WHERE pipeline = name AND key <> ALL($3::text[]) AND (cleared_at IS NULL OR cleared_at > since)
RETURNING key, opened_at, cleared_at, peak, kind, pipeline, stage, mode, rule, policy_version
"""
_DROP = """
DELETE FROM problem USING unnest($1::text[], $2::timestamptz[]) AS w (key, opened_at)
WHERE problem.key = w.key AND problem.opened_at = w.opened_at
"""
_SAVE = """
INSERT INTO problem (key, opened_at, cleared_at, peak, kind, pipeline, stage, mode, rule, policy_version, historic,
    detected_at, published_peak)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::int[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::bool[], $12::timestamptz[], $13::int[])
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak, mode = excluded.mode,
    published_peak = excluded.published_peak
"""
# Series are bounded: the latest so many.
OPEN_SHOWN = 2_000
_OPEN_SINCE = f"""
SELECT kind, pipeline, stage, min(opened_at) AS since FROM problem WHERE cleared_at IS NULL AND mode = 'active'
GROUP BY kind, pipeline, stage ORDER BY since DESC LIMIT {OPEN_SHOWN}
"""


class PublishedProblem(NamedTuple):
    """A stored interval, with its rule's mode and the peak that was published last."""

    interval: Interval
    mode: Mode
    published_peak: int


class SavedProblem(NamedTuple):
    """An interval to save."""

    rule: ProblemRule
    interval: Interval
    historic: bool
    published_peak: int


async def open_since(executor: Executor) -> dict[tuple[str, ...], float]:
    """When the first open problem of (kind, pipeline, stage) opened, in seconds since 1970. Of active rules only."""
    rows = await executor.fetch(_OPEN_SINCE)
    return {(row["kind"], row["pipeline"], row["stage"]): row["since"].timestamp() for row in rows}


async def try_lock(connection: Connection) -> bool:
    """Become the only replica that evaluates, until the end of the transaction; False where another is."""
    return await locks.try_lock(connection, "evaluation")


async def published(executor: Executor, since: Mapping[str, int]) -> dict[str, dict[int, PublishedProblem]]:
    """By key and opening: the published intervals that last beyond the key's instant."""
    found: dict[str, dict[int, PublishedProblem]] = {key: {} for key in since}
    for row in await executor.fetch(_PUBLISHED, list(since), [moment(max(at, 0)) for at in since.values()]):
        cleared = None if row["cleared_at"] is None else micros(row["cleared_at"])
        interval = Interval(micros(row["opened_at"]), cleared, row["peak"])
        found[row["key"]][interval.opened_at] = PublishedProblem(interval, Mode(row["mode"]), row["published_peak"])
    return found


async def take_unruled(connection: Connection, since: Mapping[str, int], keys: Collection[str]) -> list[Record]:
    """Delete and return intervals of keys that the policy no longer has; `keys`: those that it has.

    `since`: by pipeline, beyond which instant they last; sources are in a pipeline without a name.
    """
    instants = [moment(max(at, 0)) for at in since.values()]
    return list(await connection.fetch(_UNRULED, list(since), instants, list(keys)))


async def drop(connection: Connection, gone: Sequence[tuple[str, int]]) -> None:
    """Delete intervals, each given by (key, opened at)."""
    if gone:
        await connection.execute(_DROP, [key for key, _ in gone], [moment(at) for _, at in gone])


async def save(connection: Connection, problems: Sequence[SavedProblem], policy_version: str, now: datetime) -> None:
    """Insert or update intervals, open ones last: a key can have only one that is open."""
    if not problems:
        return
    rows = sorted(problems, key=lambda p: p.interval.cleared_at is None)
    await connection.execute(
        _SAVE,
        [p.rule.key for p in rows],
        [moment(p.interval.opened_at) for p in rows],
        [None if p.interval.cleared_at is None else moment(p.interval.cleared_at) for p in rows],
        [p.interval.peak for p in rows],
        [p.rule.kind for p in rows],
        [p.rule.pipeline for p in rows],
        [p.rule.stage for p in rows],
        [p.rule.mode.value for p in rows],
        [rule_version(p.rule) for p in rows],
        [policy_version] * len(rows),
        [p.historic for p in rows],
        [now] * len(rows),
        [p.published_peak for p in rows],
    )
