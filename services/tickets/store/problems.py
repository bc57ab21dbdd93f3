"""SQL of problem intervals, which charts shade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.problems import ProblemData
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO problem (key, opened_at, cleared_at, peak, mode, historic, data, found)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, coalesce($8::jsonb, $7::jsonb))
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak, data = excluded.data
"""
_DELETE = "DELETE FROM problem WHERE key = $1 AND opened_at = $2 RETURNING found"
_FOUND = "SELECT found FROM problem WHERE (key, opened_at) = ($1, $2)"
# Lists show of the first message how many deals it counted, and when: `ProblemData.counted_at`.
_FOUND_COUNTS = """
SELECT key, opened_at, (found -> 'count')::int AS count,
    coalesce(found #>> '{evidence,at}', found ->> 'detected_at')::timestamptz AS counted_at FROM problem
JOIN unnest($1::text[], $2::timestamptz[]) AS w (key, opened_at) USING (key, opened_at)
"""
_IS_OVER = "SELECT cleared_at IS NOT NULL FROM problem WHERE key = $1 AND opened_at = $2"
_INTERVALS = """
SELECT opened_at, cleared_at FROM problem WHERE key = $1 AND (cleared_at IS NULL OR cleared_at > $2) AND opened_at <= $3
ORDER BY opened_at
"""
_SUMMARY = """
SELECT (SELECT count(*) FROM problem WHERE mode = 'active' AND cleared_at IS NULL) AS lasting,
    (SELECT max(cleared_at) FROM problem WHERE mode = 'active') AS last_cleared_at,
    EXISTS (SELECT FROM measure) AS is_measured
"""
_IS_SILENT = """
SELECT EXISTS (
    SELECT FROM problem WHERE starts_with(key, 'silence/') AND cleared_at IS NULL AND data -> 'pipelines' ? $1
)
"""
# Those found going back, and over before, are left out: verdicts were reached without them.
_SILENCES = """
SELECT opened_at, cleared_at FROM problem
WHERE starts_with(key, 'silence/') AND data -> 'pipelines' ? $1 AND NOT historic
    AND (cleared_at IS NULL OR cleared_at > $2)
ORDER BY opened_at
"""
# [opened_at, cleared_at); no end while the problem lasts.
Interval = tuple[datetime, datetime | None]


class Counted(Protocol):
    """How many deals a problem counted, and the instant that this is of."""

    @property
    def count(self) -> int: ...
    @property
    def counted_at(self) -> datetime: ...


@dataclass(frozen=True)
class FoundCount:
    """What the first message of a problem counted."""

    count: int
    counted_at: datetime


@dataclass(frozen=True)
class FlowSummary:
    """How many problems last, when the last one cleared, and whether any day has been measured."""

    lasting: int
    last_cleared_at: datetime | None
    is_measured: bool


async def save(connection: Connection, problem: ProblemData, is_withdrawn: bool) -> None:
    """Keep an interval. Delete the old one if it was withdrawn or now begins at another instant."""
    found = None
    if problem.was is not None and (is_withdrawn or problem.was.opened_at != problem.opened_at):
        found = await connection.fetchval(_DELETE, problem.key, problem.was.opened_at)
    if not is_withdrawn:
        await connection.execute(
            _SAVE,
            problem.key,
            problem.opened_at,
            problem.cleared_at,
            problem.peak,
            problem.mode.value,
            problem.historic,
            problem.model_dump(mode="json"),
            found,
        )


async def is_over(connection: Connection, key: str, opened_at: datetime) -> bool:
    """Whether the interval is known already, with its end."""
    return bool(await connection.fetchval(_IS_OVER, key, opened_at))


async def found(executor: Executor, problem: ProblemData) -> ProblemData:
    """The problem as in its first message; unchanged if that is not known."""
    raw = await executor.fetchval(_FOUND, problem.key, problem.opened_at)
    return problem if raw is None else ProblemData.model_validate(raw)


async def found_counts(executor: Executor, problems: Sequence[ProblemData]) -> list[Counted]:
    """What each of these problems counted in its first message; what it counts now if that is not known."""
    rows = await executor.fetch(_FOUND_COUNTS, [one.key for one in problems], [one.opened_at for one in problems])
    first: dict[tuple[str, datetime], Counted] = {
        (row["key"], row["opened_at"]): FoundCount(row["count"], row["counted_at"]) for row in rows
    }
    return [first.get((one.key, one.opened_at), one) for one in problems]


async def intervals(executor: Executor, key: str, since: datetime, until: datetime) -> Sequence[Interval]:
    """The intervals of a problem that overlap `[since, until]`, in order."""
    return [(row["opened_at"], row["cleared_at"]) for row in await executor.fetch(_INTERVALS, key, since, until)]


async def silences(executor: Executor, pipeline: str, since: datetime) -> Sequence[Interval]:
    """When a source that has had deals in the pipeline was silent, as far as that lasted beyond an instant."""
    return [(row["opened_at"], row["cleared_at"]) for row in await executor.fetch(_SILENCES, pipeline, since)]


async def is_a_source_silent(executor: Executor, pipeline: str) -> bool:
    """Whether a source that has had deals in the pipeline is silent now."""
    return bool(await executor.fetchval(_IS_SILENT, pipeline))


async def summary(executor: Executor) -> FlowSummary:
    row = await executor.fetchrow(_SUMMARY)
    assert row is not None  # noqa: S101 (a SELECT without FROM has a row)
    return FlowSummary(row["lasting"], row["last_cleared_at"], row["is_measured"])
