"""A connection pool on one service's schema, and which of its errors mean: try again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from shared.runtime.log import logger

_log = logger(__name__)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
# What can run a single statement: a pool takes a connection of its own for it.
Executor: TypeAlias = "Pool | Connection"
Record: TypeAlias = asyncpg.Record


class DatabaseUnavailable(ConnectionError):
    """No connection could be opened: the server is down, restarts, or its address does not resolve."""


# Errors of a database that is down or restarting. A plain OSError is not one of them: in a handler it means a full
# disk, a missing file or a permission, which waiting does not fix.
UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
# Errors that a retry of the transaction can resolve.
TRANSIENT = (
    *UNAVAILABLE,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)


async def connect(*args: Any, **settings: Any) -> asyncpg.Connection[asyncpg.Record]:
    """As `asyncpg.connect`; every failure to reach the server is DatabaseUnavailable."""
    try:
        return await asyncpg.connect(*args, **settings)
    except OSError as error:
        raise DatabaseUnavailable(str(error) or repr(error)) from error


async def _prepare(connection: asyncpg.Connection[asyncpg.Record], script: str) -> None:
    if script:
        await connection.execute(script)
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        schema="pg_catalog",
        format="binary",
    )


async def _keep_session(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Leave a connection that returns to the pool as it is. asyncpg's reset is one more transaction for each use.

    asyncpg still rolls back an open transaction. Whoever changes a session (a listener, a session lock) undoes it.
    """


async def open_pool(dsn: str, schema: str, max_size: int = 6, script: str = "") -> Pool:
    """Connect, waiting for the database as long as it takes; every statement sees `schema` first.

    Each new connection runs `script`.
    """
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                connect=connect,
                init=partial(_prepare, script=script),
                reset=_keep_session,
                command_timeout=300,
                server_settings={"search_path": f"{schema},public", "application_name": f"andon-{schema}"},
            )
        except UNAVAILABLE as error:
            _log.warning("waiting for Postgres", error=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)
