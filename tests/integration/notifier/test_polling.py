"""The sender looks for mails rarely when there are none, and sends at once when there is one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from services.notifier.delivery.sender import Sender
from shared.postgres.pool import Pool
from tests.integration.notifier.test_claims import mails, pool, sender_of, states, write  # noqa: F401 (fixtures)
from tests.support.sink import Sink
from tests.support.waiting import eventually

_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


async def running(sender: Sender, seconds: float) -> None:
    task = asyncio.ensure_future(sender.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


async def transactions(pool: Pool) -> int:  # noqa: F811
    """Committed so far; Postgres publishes the number when a connection is idle for a second."""
    await asyncio.sleep(1.5)
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        found: int = await connection.fetchval(_TRANSACTIONS)
        return found


async def test_an_idle_sender_runs_one_transaction_a_second(pool: Pool, mails: Sink) -> None:  # noqa: F811
    before = await transactions(pool)
    await running(sender_of(pool, mails), 5)

    # Besides, this test counts by two of its own, and a new connection of the pool runs a few to prepare itself.
    assert await transactions(pool) - before <= 6 + 2 + 4


async def test_a_written_mail_is_sent_before_the_next_poll(pool: Pool, mails: Sink) -> None:  # noqa: F811
    sender = sender_of(pool, mails)
    task = asyncio.ensure_future(sender.run())
    await asyncio.sleep(0.2)
    await write(pool, [1])
    written = asyncio.get_running_loop().time()
    sender.wake.set()

    await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    assert asyncio.get_running_loop().time() - written < 0.5
    task.cancel()
    await asyncio.wait([task])


async def test_a_deferred_mail_is_sent_when_it_is_due(pool: Pool, mails: Sink) -> None:  # noqa: F811
    await write(pool, [1])
    await pool.execute("UPDATE mail SET due = $1", datetime.now(UTC) + timedelta(seconds=1.3))
    task = asyncio.ensure_future(sender_of(pool, mails).run())

    await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    late = await pool.fetchval("SELECT extract(epoch FROM ended_at - due) FROM mail")
    assert 0 <= late < 0.5
    task.cancel()
    await asyncio.wait([task])
