"""A connection pool on one service's schema."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg
import orjson

from shared.runtime.log import logger

_log = logger(__name__)
# What a database that restarts, or is not up yet, answers with.
UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
# What goes away by itself when the transaction is run again.
TRANSIENT = (
    *UNAVAILABLE,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)

Pool = asyncpg.Pool
Connection = asyncpg.Connection


async def _prepare(connection: Any, script: str) -> None:
    if script:
        await connection.execute(script)
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        schema="pg_catalog",
        format="binary",
    )


async def open_pool(dsn: str, schema: str, most: int = 6, script: str = "") -> Any:
    """Connect, waiting for the database as long as it takes; every statement sees `schema` first.

    Each new connection runs `script`.
    """
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=most,
                init=partial(_prepare, script=script),
                command_timeout=300,
                server_settings={"search_path": f"{schema},public", "application_name": f"andon-{schema}"},
            )
        except UNAVAILABLE as error:
            _log.warning("waiting for Postgres", error=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)
