"""SQL of answers to requests with an Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.postgres.pool import Connection, Executor

KEPT = timedelta(hours=24)
# Of two requests with one key at once, the second waits here for the transaction of the first.
_BEGIN = """
INSERT INTO api_answer AS a (account, key, request, asked_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account, key) DO UPDATE SET request = $3, asked_at = $4, status = NULL, etag = NULL, body = NULL
    WHERE a.asked_at <= $5
RETURNING true
"""
_FIND = "SELECT request, status, etag, body FROM api_answer WHERE account IS NOT DISTINCT FROM $1 AND key = $2"
_KEEP = "UPDATE api_answer SET status = $3, etag = $4, body = $5 WHERE account IS NOT DISTINCT FROM $1 AND key = $2"
_FORGET = "DELETE FROM api_answer WHERE asked_at <= $1"


@dataclass(frozen=True)
class KeptAnswer:
    """What a request was answered. `request`: its hash."""

    request: bytes
    status: int
    etag: str | None
    body: bytes


async def begin(
    connection: Connection, account: int | None, key: str, request: bytes, now: datetime
) -> KeptAnswer | None:
    """Begin to answer a request, in the transaction that `keep` ends; None: it has come for the first time."""
    if await connection.fetchval(_BEGIN, account, key, request, now, now - KEPT):
        return None
    row = await connection.fetchrow(_FIND, account, key)
    return KeptAnswer(**dict(row)) if row else None


async def keep(connection: Connection, account: int | None, key: str, status: int, etag: str, body: bytes) -> None:
    """Keep the answer."""
    await connection.execute(_KEEP, account, key, status, etag, body)


async def forget(executor: Executor, now: datetime) -> None:
    """Remove answers that were kept for long enough."""
    await executor.execute(_FORGET, now - KEPT)
