"""Bulk writes: rows go by COPY into a temporary table, and one statement takes them from there.

COPY encodes a row at a quarter of what arrays of parameters cost in the client. The tables empty themselves at the end
of each transaction. Their times are microseconds since 1970, as in the domain, so that nothing is converted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.postgres.pool import Connection, Pool, open_pool

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS staged_event (deal text, id text, time bigint, rank smallint, data text)
    ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_deal (deal text, state bytea, version bigint) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_visit (
    deal text, entered bigint, pipeline text, stage text, left_at bigint, known boolean, progressed bigint,
    recorded bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_week (
    pipeline text, stage text, measure text, start_at bigint, end_at bigint, value float8, exact text
) ON COMMIT DELETE ROWS;
"""


async def open_flow(dsn: str, max_size: int = 6) -> Pool:
    """The detector's pool: connections on its schema that have the tables for bulk writes."""
    return await open_pool(dsn, "flow", max_size, _TABLES)


def instant(column: str) -> str:
    """SQL that turns a staged time into a timestamptz.

    Postgres multiplies intervals in floating point; with the hours apart the result is exact.
    """
    hour = 3_600_000_000
    return (
        f"'epoch'::timestamptz + ({column} / {hour}) * interval '1 hour'"
        f" + ({column} % {hour}) * interval '1 microsecond'"
    )


async def clear(connection: Connection) -> None:
    """Empty the tables within a transaction that will stage more."""
    await connection.execute("TRUNCATE staged_event, staged_deal, staged_visit, staged_week")


async def stage(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows, with values in the order of the table's columns. A generator's rows are in memory one at a time."""
    await connection.copy_records_to_table(table, records=rows, schema_name="pg_temp")
