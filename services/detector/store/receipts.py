"""SQL of receipts: when events of each source were received."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from shared.postgres import locks
from shared.postgres.pool import Connection, Executor

HOUR = 3600 * 1_000_000
# The instants of a part. The last part of the present hour is published again and again.
PART_SIZE = 5000
# Instants as the text of an array: asyncpg looks at each element of an array as at a container.
_APPEND = """
INSERT INTO new_receipt (source, instants)
SELECT source, instants::bigint[] FROM unnest($1::text[], $2::text[]) AS r (source, instants)
"""
_TAKE = """
DELETE FROM new_receipt WHERE id IN (SELECT id FROM new_receipt ORDER BY id LIMIT $1) RETURNING source, instants
"""
_LAST_PARTS = """
SELECT DISTINCT ON (h.source, h.hour) h.source, h.hour, h.part, h.instants FROM receipt_hour AS h
JOIN unnest($1::text[], $2::bigint[]) AS w (source, hour) USING (source, hour)
ORDER BY h.source, h.hour, h.part DESC
"""
_SAVE = """
INSERT INTO receipt_hour VALUES ($1, $2, $3, $4)
ON CONFLICT (source, hour, part) DO UPDATE SET instants = excluded.instants
"""
_ADD_PIPELINES = "INSERT INTO source_pipeline SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING"
_PIPELINES = "SELECT source, array_agg(pipeline ORDER BY pipeline) AS pipelines FROM source_pipeline GROUP BY source"
_STATE = "SELECT judged, since FROM receipt_state FOR UPDATE"
_SAVE_STATE = "UPDATE receipt_state SET judged = $1, since = NULL"
_REBUILT = "UPDATE receipt_state SET since = least(since, $1)"
# A source and the start of an hour.
SourceHour = tuple[str, int]


class ReceiptState(NamedTuple):
    """The watermark that was last published, and the instant that `andon reevaluate` was given since."""

    judged: int | None
    since: int | None


class HourPart(NamedTuple):
    """The instants of one part of an hour, in order."""

    number: int
    instants: Sequence[int]


async def try_lock(connection: Connection) -> bool:
    """Become the one that publishes receipts, until the end of the transaction; False where another is."""
    return await locks.try_lock(connection, "receipts")


async def append(connection: Executor, receipts: Mapping[str, Sequence[int]]) -> None:
    """Add receipts of events that were never seen before, by source."""
    if receipts:
        texts = [f"{{{orjson.dumps(instants)[1:-1].decode()}}}" for instants in receipts.values()]
        await connection.execute(_APPEND, list(receipts), texts)


async def add_pipelines(connection: Executor, pairs: Collection[tuple[str, str]]) -> None:
    """Sources have deals in pipelines: (source, pipeline)."""
    rows = sorted(pairs)
    await connection.execute(_ADD_PIPELINES, [source for source, _ in rows], [pipeline for _, pipeline in rows])


async def pipelines(connection: Executor) -> dict[str, Sequence[str]]:
    """The pipelines in which each source has had deals."""
    return {row["source"]: row["pipelines"] for row in await connection.fetch(_PIPELINES)}


async def take(connection: Connection, rows: int) -> list[tuple[str, Sequence[int]]]:
    """Take up to `rows` batches that were appended, the oldest ones."""
    return [(row["source"], row["instants"]) for row in await connection.fetch(_TAKE, rows)]


async def last_parts(connection: Executor, hours: Collection[SourceHour]) -> dict[SourceHour, HourPart]:
    """The last part of each of these hours that has any."""
    keys = list(hours)
    rows = await connection.fetch(_LAST_PARTS, [source for source, _ in keys], [hour for _, hour in keys])
    return {(row["source"], row["hour"]): HourPart(row["part"], row["instants"]) for row in rows}


async def save(connection: Connection, parts: Iterable[tuple[SourceHour, HourPart]]) -> None:
    """Insert or replace parts of hours."""
    await connection.executemany(_SAVE, [(*hour, part.number, part.instants) for hour, part in parts])


async def state(connection: Connection) -> ReceiptState:
    """What was last published. Holds the row until the end of the transaction."""
    row = await connection.fetchrow(_STATE)
    return ReceiptState(*row) if row is not None else ReceiptState(None, None)


async def save_judged(connection: Executor, watermark: int) -> None:
    """The watermark is published, and what `andon reevaluate` was given."""
    await connection.execute(_SAVE_STATE, watermark)


async def rebuilt(connection: Executor, since: int) -> None:
    """The history is evaluated again `since` an instant."""
    await connection.execute(_REBUILT, since)
