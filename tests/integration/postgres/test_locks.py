"""Advisory locks by name on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.postgres import locks
from shared.postgres.pool import Pool, connect, open_pool


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    connection = await connect(dsn)
    await connection.execute("CREATE SCHEMA one; CREATE SCHEMA other")
    await connection.close()
    pool = await open_pool(dsn, "one")
    yield pool
    await pool.close()


async def test_a_lock_is_held_until_the_transaction_ends(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            assert await locks.try_lock(one, "relay")
            async with two.transaction():
                assert not await locks.try_lock(two, "relay")
                assert await locks.try_lock(two, "ages")
        async with two.transaction():
            assert await locks.try_lock(two, "relay")


async def test_whoever_waits_gets_the_lock_next(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            await locks.lock(one, "relay")
            waiting = asyncio.ensure_future(locks.lock(two, "relay"))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 60)


async def test_shared_locks_keep_only_exclusive_ones_waiting(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two, pool.acquire() as three:
        async with one.transaction():
            await locks.share_all(one, ["source.a", "source.b"])
            async with two.transaction():
                await locks.share_all(two, ["source.b"])
            waiting = asyncio.ensure_future(locks.lock_all(three, ["source.c", "source.b"]))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
            assert not await locks.try_lock(two, "source.b")
        await asyncio.wait_for(waiting, 60)


async def test_schemas_do_not_lock_each_other_out(pool: Pool, dsn: str) -> None:
    other_schema = await open_pool(dsn, "other")
    async with pool.acquire() as one, other_schema.acquire() as two:
        assert await locks.try_session_lock(one, "load")
        assert await locks.try_session_lock(two, "load")
    await other_schema.close()


async def test_a_session_lock_ends_with_its_connection(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        assert await locks.try_session_lock(one, "load")
        assert not await locks.try_session_lock(two, "load")
        await one.close()
        assert await locks.try_session_lock(two, "load")
