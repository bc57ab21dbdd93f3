"""Asks Postgres whether it answers, over a connection of its own: the pools may be exhausted by work."""

from __future__ import annotations

import asyncio

import asyncpg


class PostgresProbe:
    """Keeps its connection between two calls. A call raises the error that keeps the server from answering."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def __call__(self) -> None:
        try:
            if self._connection is None:
                self._connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "andon-probe"})
            await self._connection.execute("SELECT 1")
        except (Exception, asyncio.CancelledError):
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection without waiting for the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
