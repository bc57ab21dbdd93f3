"""A process that is frozen in a transaction loses its locks."""

from __future__ import annotations

import asyncpg
import pytest

from shared.postgres.locks import try_lock
from shared.postgres.pool import IDLE_IN_TRANSACTION, TRANSIENT, open_pool
from tests.support.waiting import eventually


async def test_every_pool_bounds_how_long_a_transaction_may_rest(dsn: str) -> None:
    pool = await open_pool(dsn, "public")
    try:
        assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == IDLE_IN_TRANSACTION
    finally:
        await pool.close()


async def test_a_frozen_transaction_loses_its_lock_and_fails_as_transient(dsn: str) -> None:
    pool = await open_pool(dsn, "public")
    try:
        async with pool.acquire() as frozen, pool.acquire() as other:
            transaction = frozen.transaction()
            await transaction.start()
            await frozen.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
            assert await try_lock(frozen, "lock")

            async def is_free() -> bool:
                async with other.transaction():
                    return await try_lock(other, "lock")

            assert await eventually(is_free)
            with pytest.raises(TRANSIENT):
                await frozen.execute("SELECT 1")
            with pytest.raises((asyncpg.InterfaceError, *TRANSIENT)):
                await transaction.rollback()
    finally:
        await pool.close()
