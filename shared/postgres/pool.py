"""A connection pool on one service's schema, and which of its errors mean: try again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from shared.postgres.answers import NotingConnection
from shared.runtime.log import logger

_log = logger(__name__)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
# What can run a single statement: a pool takes a connection of its own for it.
Executor: TypeAlias = "Pool | Connection"
Record: TypeAlias = asyncpg.Record


class DatabaseUnavailable(ConnectionError):
    """No connection could be opened: the server is down, restarts, or its address does not resolve."""


# Errors of a database that is down, restarting, or out of disk, memory or connections. A plain OSError is not one of
# them: in a handler it means that our own disk is full, a missing file or a permission, which waiting does not fix.
UNAVAILABLE = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The server was lost in the middle of an answer.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    # An I/O error of the server, such as a file that it cannot extend.
    asyncpg.PostgresSystemError,
    # The primary has become a standby.
    asyncpg.ReadOnlySQLTransactionError,
)
# Errors that a retry of the transaction can resolve.
TRANSIENT = (
    *UNAVAILABLE,
    # Shutdowns, cancelled queries.
    asyncpg.OperatorInterventionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    # This process stood still in a transaction, and the server ended it.
    asyncpg.IdleInTransactionSessionTimeoutError,
)
# How long a process may stand still in a transaction, and a connection without a sign of life, before the server gives
# their locks to others. The longest rest of our own is a publish to Kafka, which has a deadline of ten seconds.
IDLE_IN_TRANSACTION = "30s"
_SESSION = {
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "client_connection_check_interval": "10s",
}
# The same from our side, for a server that is gone without a word. Not all systems have all of them.
_SOCKET = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}


async def connect(*args: Any, **settings: Any) -> asyncpg.Connection[asyncpg.Record]:
    """As `asyncpg.connect`; every failure to reach the server is DatabaseUnavailable."""
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(*args, **settings)
    except OSError as error:
        raise DatabaseUnavailable(str(error) or repr(error)) from error
    _watch(connection)
    return connection


def _watch(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let the system find out that the server is gone: a command would wait for its answer for minutes."""
    # asyncpg has no public way to its socket.
    opened = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if opened.family not in (socket.AF_INET, socket.AF_INET6):
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


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
                connection_class=NotingConnection,
                init=partial(_prepare, script=script),
                reset=_keep_session,
                command_timeout=300,
                server_settings=_SESSION | {"search_path": f"{schema},public", "application_name": f"andon-{schema}"},
            )
        except UNAVAILABLE as error:
            _log.warning("waiting for Postgres", error=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)


def read_only(connection: Connection) -> Transaction:
    """A transaction all of whose statements see the database as of one instant, and in which nothing can be written.

    Without it, what others commit between two statements is in one and not in the other: a page then contradicts
    itself.
    """
    return connection.transaction(isolation="repeatable_read", readonly=True)


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A connection to read with, in a transaction as `read_only` makes it."""
    async with pool.acquire() as connection, read_only(connection):
        yield connection
