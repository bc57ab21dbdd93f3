"""The Processor over transactions on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.postgres.pool import Pool, open_pool
from shared.stream.transaction import PostgresTransactions, Transaction
from tests.support.processor_suite import ProcessorRig, ProcessorSuite


class OnPostgres(ProcessorRig):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.transactions = PostgresTransactions(pool)

    async def apply(self, transaction: Transaction, name: str) -> None:
        await transaction.connection.execute("INSERT INTO effect (name) VALUES ($1)", name)

    async def effects(self) -> list[str]:
        return [row["name"] for row in await self._pool.fetch("SELECT name FROM effect ORDER BY id")]

    async def outbox(self) -> list[tuple[str, bytes]]:
        return [(row["topic"], row["value"]) for row in await self._pool.fetch("SELECT * FROM outbox ORDER BY id")]

    async def next_offset(self) -> int:
        return await self._pool.fetchval("SELECT next_offset FROM position") or 0


class TestOnPostgres(ProcessorSuite):
    @pytest.fixture
    async def world(self, dsn: str) -> AsyncIterator[ProcessorRig]:
        pool = await open_pool(dsn, "flow")
        await pool.execute("CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY, name text)")
        yield OnPostgres(pool)
        await pool.close()
