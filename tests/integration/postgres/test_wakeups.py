"""Wake-ups between replicas on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.postgres.pool import Pool, open_pool
from shared.postgres.wakeups import Wakeups
from tests.support.waiting import eventually

_TERMINATE_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Replica:
    """Counts its wake-ups."""

    def __init__(self, pool: Pool) -> None:
        self.woken = 0
        self.wakeups = Wakeups(pool, "test", self._wake, min_interval_seconds=0.01, check_seconds=0.2)

    def _wake(self) -> None:
        self.woken += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.ensure_future(self.wakeups.run())
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.wait([loop])


async def until_woken(one: Replica, other: Replica) -> None:
    """`one` sends until `other` hears: it may not be listening yet."""

    async def ask() -> int:
        one.wakeups.send()
        return other.woken

    await eventually(ask, bool)


async def test_the_other_replicas_wake_and_not_the_sender(dsn: str) -> None:
    pool = await open_pool(dsn, "public")
    one, other = Replica(pool), Replica(pool)

    async with one.running(), other.running():
        await until_woken(one, other)

    assert one.woken == 0
    await pool.close()


async def test_a_lost_connection_is_replaced(dsn: str) -> None:
    pool = await open_pool(dsn, "public")
    one, other = Replica(pool), Replica(pool)

    async with one.running(), other.running():
        await until_woken(one, other)
        await pool.execute(_TERMINATE_OTHERS)
        other.woken = 0
        await until_woken(one, other)

    await pool.close()
