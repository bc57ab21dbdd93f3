"""Advisory locks by name, in the connection's schema: of two holders in different schemas neither waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import asyncpg

from shared.postgres.pool import Connection, Record

AnyConnection: TypeAlias = "Connection | asyncpg.Connection[Record]"
# Postgres keeps advisory locks of different databases apart by itself. Before a schema exists, the name stands alone.
_KEY = "hashtextextended(coalesce(current_schema(), '') || '.' || $1, 0)"
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_KEY})"
_TRY_SHARE = f"SELECT pg_try_advisory_xact_lock_shared({_KEY})"
_LOCK = f"SELECT pg_advisory_xact_lock({_KEY})"
_SESSION_LOCK = f"SELECT pg_advisory_lock({_KEY})"
_TRY_SESSION_LOCK = f"SELECT pg_try_advisory_lock({_KEY})"
_KEY_OF_NAME = _KEY.replace("$1", "name")
_LOCK_ALL = f"SELECT pg_advisory_xact_lock({_KEY_OF_NAME}) FROM unnest($1::text[]) AS name"
_SHARE_ALL = f"SELECT pg_advisory_xact_lock_shared({_KEY_OF_NAME}) FROM unnest($1::text[]) AS name"


async def try_lock(connection: AnyConnection, name: str) -> bool:
    """Take the lock until the end of the transaction; False, without waiting, when another holds it."""
    return bool(await connection.fetchval(_TRY_LOCK, name))


async def try_share(connection: AnyConnection, name: str) -> bool:
    """Share the lock until the end of the transaction; False, without waiting, when another holds it alone."""
    return bool(await connection.fetchval(_TRY_SHARE, name))


async def lock(connection: AnyConnection, name: str) -> None:
    """Wait for the lock, and hold it until the end of the transaction."""
    await connection.execute(_LOCK, name)


async def lock_all(connection: AnyConnection, names: Iterable[str]) -> None:
    """Wait for the locks one by one in the order of their names, and hold them until the end of the transaction."""
    await connection.execute(_LOCK_ALL, sorted(names))


async def share_all(connection: AnyConnection, names: Iterable[str]) -> None:
    """As `lock_all`, but any number of transactions share a lock; `lock` and `lock_all` wait for all of them."""
    await connection.execute(_SHARE_ALL, sorted(names))


async def session_lock(connection: AnyConnection, name: str) -> None:
    """Wait for the lock, and hold it until the connection closes."""
    await connection.execute(_SESSION_LOCK, name)


async def try_session_lock(connection: AnyConnection, name: str) -> bool:
    """Take the lock until the connection closes; False when another holds it."""
    return bool(await connection.fetchval(_TRY_SESSION_LOCK, name))
