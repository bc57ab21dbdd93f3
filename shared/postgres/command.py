"""The connection of a command, for as long as the command works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.postgres.pool import Connection, Pool, open_pool


@asynccontextmanager
async def one_connection(dsn: str, schema: str) -> AsyncIterator[Pool]:
    """A pool with one connection, which sees `schema` first."""
    pool = await open_pool(dsn, schema, max_size=1)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def one_transaction(dsn: str, schema: str) -> AsyncIterator[Connection]:
    """All that the command does is committed together."""
    async with one_connection(dsn, schema) as pool, pool.acquire() as connection, connection.transaction():
        yield connection
