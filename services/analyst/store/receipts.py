"""SQL of when sources were heard, and how far their silence is judged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from shared.contracts.receipts import HourReceipts, Judged
from shared.postgres.pool import Connection, Executor
from shared.runtime.instants import micros

HOUR = 3600 * 1_000_000
_SAVE = """
INSERT INTO receipt_hour AS h VALUES ($1, $2, $3, $4)
ON CONFLICT (source, hour, part) DO UPDATE SET instants = excluded.instants WHERE h.instants <> excluded.instants
"""
_SAVE_PIPELINES = """
INSERT INTO source_pipelines AS p VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET pipelines = excluded.pipelines WHERE p.pipelines <> excluded.pipelines
"""
_PIPELINES = "SELECT pipelines FROM source_pipelines WHERE source = $1"
_MARK = "INSERT INTO stale_source SELECT * FROM unnest($1::text[])"
_TAKE = "DELETE FROM stale_source RETURNING source"
_JUDGED = "UPDATE silence_state SET until = $1, since = least(since, $2), is_stale = true"
_STATE = "SELECT until, since, is_stale FROM silence_state FOR UPDATE"
_DONE = "UPDATE silence_state SET since = NULL, is_stale = false"
_FOLLOW_POLICY = """
WITH new AS (UPDATE silence_state SET policy = $1, is_stale = true WHERE policy <> $1 RETURNING policy)
INSERT INTO stale_source SELECT DISTINCT source FROM receipt_hour WHERE EXISTS (SELECT FROM new)
"""
_SOURCES = "SELECT source, until, due FROM judged_source"
_SAVE_SOURCE = """
INSERT INTO judged_source VALUES ($1, $2, $3)
ON CONFLICT (source) DO UPDATE SET until = excluded.until, due = excluded.due
"""
_FIRST = """
SELECT min(instant) FROM receipt_hour, unnest(instants) AS instant WHERE source = $1
    AND hour = (SELECT min(hour) FROM receipt_hour WHERE source = $1)
"""
_HOUR_BEFORE = "SELECT max(hour) FROM receipt_hour WHERE source = $1 AND hour < $2"
_LOAD = "SELECT instants FROM receipt_hour WHERE source = $1 AND hour >= $2 AND hour <= $3"


class SilenceState(NamedTuple):
    """Judgement time, what `andon reevaluate` was given, and whether anything is to be evaluated."""

    until: int | None
    since: int | None
    is_stale: bool


class JudgedSource(NamedTuple):
    """How far a source is judged, and when to judge it again if no event comes."""

    until: int
    due: int | None


async def save(connection: Connection, hours: Sequence[HourReceipts]) -> None:
    """Insert or replace hours of receipts; their sources are to be judged again."""
    if hours:
        rows = [
            (one.source, start := micros(one.start), one.part, [start + at for at in one.receipts]) for one in hours
        ]
        await connection.executemany(_SAVE, rows)
        newest = {one.source: list(one.pipelines) for one in hours}
        await connection.executemany(_SAVE_PIPELINES, newest.items())
        await connection.execute(_MARK, sorted(newest))


async def save_judged(connection: Executor, judged: Judged) -> None:
    """Judgement time is another one now."""
    since = None if judged.since is None else micros(judged.since)
    await connection.execute(_JUDGED, micros(judged.until), since)


async def state(connection: Connection) -> SilenceState:
    """How far to judge. No judgement time is saved until the end of the transaction."""
    row = await connection.fetchrow(_STATE)
    return SilenceState(*row) if row is not None else SilenceState(None, None, False)


async def evaluated(connection: Executor) -> None:
    """Everything is evaluated that `state` asked for."""
    await connection.execute(_DONE)


async def follow_policy(connection: Executor, digest: str) -> None:
    """Where the policy is another one, every source must be judged again."""
    await connection.execute(_FOLLOW_POLICY, digest)


async def take(connection: Connection) -> set[str]:
    """Take the sources with new receipts."""
    return {row["source"] for row in await connection.fetch(_TAKE)}


async def mark(connection: Executor, sources: Collection[str]) -> None:
    """Sources are to be judged again."""
    if sources:
        await connection.execute(_MARK, sorted(sources))


async def pipelines(connection: Executor, source: str) -> Sequence[str]:
    """The pipelines in which a source has had deals."""
    found: Sequence[str] | None = await connection.fetchval(_PIPELINES, source)
    return found or ()


async def judged_sources(connection: Executor) -> dict[str, JudgedSource]:
    """The sources that were judged before."""
    return {row["source"]: JudgedSource(row["until"], row["due"]) for row in await connection.fetch(_SOURCES)}


async def save_source(connection: Executor, source: str, judged: JudgedSource) -> None:
    """A source is judged."""
    await connection.execute(_SAVE_SOURCE, source, judged.until, judged.due)


async def first(connection: Executor, source: str) -> int | None:
    """When a source was heard first."""
    found: int | None = await connection.fetchval(_FIRST, source)
    return found


async def heard_before(connection: Executor, source: str, instant: int) -> int | None:
    """The start of the last hour before that of the instant in which the source was heard."""
    found: int | None = await connection.fetchval(_HOUR_BEFORE, source, instant - instant % HOUR)
    return found


async def load(connection: Executor, source: str, since: int, until: int) -> list[int]:
    """The receipts of a source from the hour of `since` to `until`, in order."""
    rows = await connection.fetch(_LOAD, source, since - since % HOUR, until)
    return sorted(instant for row in rows for instant in row["instants"] if instant <= until)
