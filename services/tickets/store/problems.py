"""SQL of problem intervals, which charts shade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.problems import ProblemData
from shared.postgres.pool import Connection, Executor

_SAVE = """
INSERT INTO problem (key, opened_at, cleared_at, peak, mode, historic, data, found)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, coalesce($8::jsonb, $7::jsonb))
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak, data = excluded.data
"""
_DELETE = "DELETE FROM problem WHERE key = $1 AND opened_at = $2 RETURNING found"
_FOUND = """
SELECT key, opened_at, found FROM problem JOIN unnest($1::text[], $2::timestamptz[]) AS w (key, opened_at)
    USING (key, opened_at)
"""
_IS_OVER = "SELECT cleared_at IS NOT NULL FROM problem WHERE key = $1 AND opened_at = $2"
_INTERVALS = """
SELECT opened_at, cleared_at FROM problem WHERE key = $1 AND (cleared_at IS NULL OR cleared_at > $2) AND opened_at <= $3
ORDER BY opened_at
"""
_SUMMARY = """
SELECT count(*) FILTER (WHERE cleared_at IS NULL) AS lasting, max(cleared_at) AS last_cleared_at,
    EXISTS (SELECT FROM measure) AS is_measured
FROM problem WHERE mode = 'active'
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


async def found(executor: Executor, problems: Sequence[ProblemData]) -> list[ProblemData]:
    """Each of these problems as in its first message; unchanged if that is not known."""
    keys, opened = [one.key for one in problems], [one.opened_at for one in problems]
    rows = await executor.fetch(_FOUND, keys, opened)
    first = {(row["key"], row["opened_at"]): row["found"] for row in rows}
    return [
        ProblemData.model_validate(raw) if (raw := first.get((one.key, one.opened_at))) else one for one in problems
    ]


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
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return FlowSummary(row["lasting"], row["last_cleared_at"], row["is_measured"])
