"""What a service shows of its connections to Postgres, and of its schema."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import open_pool
from tests.support.databases import migrated_database
from tests.support.waiting import eventually


async def test_connections_in_use_and_tasks_that_wait_for_one(postgres: str) -> None:
    registry, pool = CollectorRegistry(), await open_pool(await migrated_database(postgres), "flow", max_size=2)
    PostgresMetrics(pool, "flow", registry)

    async def use() -> list[float | None]:
        names = ("connections_in_use", "connections_max", "waiting_tasks")
        return [registry.get_sample_value(f"andon_pool_{name}") for name in names]

    assert await use() == [0, 2, 0]
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(pool.acquire())
        waiting = [asyncio.ensure_future(pool.fetchval("SELECT 1")) for _ in range(3)]
        assert await eventually(use, lambda found: found == [2, 2, 3], 10) == [2, 2, 3]
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert await use() == [0, 2, 0]
    await pool.close()


async def test_the_size_of_the_schema_grows_with_its_tables(postgres: str) -> None:
    registry, pool = CollectorRegistry(), await open_pool(await migrated_database(postgres), "flow")
    metrics = PostgresMetrics(pool, "flow", registry)

    async def size() -> float:
        return registry.get_sample_value("andon_schema_bytes", {"schema": "flow"}) or 0

    await metrics.measure()
    empty = await size()
    await pool.execute("CREATE TABLE large AS SELECT repeat(md5(n::text), 8) FROM generate_series(1, 4000) AS n")
    await metrics.measure()

    assert 0 < empty < empty + 1_000_000 < await size()
    await pool.close()
