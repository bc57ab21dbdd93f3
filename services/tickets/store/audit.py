"""SQL of the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from services.tickets.access.audit import BEGINNING, AuditEvent, AuditRow, row_hash
from services.tickets.access.roles import current_visitor
from shared.postgres.pool import Connection, Pool, Record

# One writer at a time, to the end of its transaction: each row needs the hash of the one before it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('andon audit'))"
_LAST = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"
_ADD = """
INSERT INTO audit (id, at, event, account, detail, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_SINCE = "SELECT id, at, event, account, detail, previous, hash FROM audit WHERE id > $1 ORDER BY id LIMIT 1000"
_FORGET = "SELECT forget_audit($1)"


async def record(connection: Connection, now: datetime, event: AuditEvent, account: int | None, **detail: Any) -> None:
    """Write a row down, in the transaction of what it tells. Where a program did it, with its token's number."""
    by = current_visitor().token
    detail = detail if by is None else detail | {"by_token": by}
    await connection.execute(_LOCK)
    last = await connection.fetchrow(_LAST)
    number, previous = (last["id"] + 1, last["hash"]) if last else (1, BEGINNING)
    at = now.astimezone(UTC)
    digest = row_hash(previous, number, at, event.value, account, detail)
    await connection.execute(_ADD, number, at, event.value, account, detail, previous, digest)


async def note(pool: Pool, now: datetime, event: AuditEvent, account: int | None, **detail: Any) -> None:
    """Write down what has no transaction of its own."""
    async with pool.acquire() as connection, connection.transaction():
        await record(connection, now, event, account, **detail)


async def rows(connection: Connection, after: int = 0) -> AsyncIterator[AuditRow]:
    """All rows with a higher number, in order."""
    while found := await connection.fetch(_SINCE, after):
        for row in found:
            yield _row(row)
        after = found[-1]["id"]


async def forget(pool: Pool, before: datetime) -> None:
    """Remove rows that are older. The newest row stays, and all of the last 30 days."""
    await pool.execute(_FORGET, before)


def _row(row: Record) -> AuditRow:
    detail: Mapping[str, Any] = row["detail"]
    return AuditRow(**dict(row) | {"detail": detail, "at": row["at"].astimezone(UTC)})
