"""The sender polls rarely, and still sends at once what was written, and in time what falls due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from services.notifier.delivery.sender import POLL_SECONDS
from shared.postgres.pool import Pool
from tests.integration.notifier.test_claims import mails, pool, sender_of, states, write  # noqa: F401 (fixtures)
from tests.support.sink import Sink
from tests.support.waiting import eventually


async def test_a_written_mail_is_sent_before_the_next_poll(pool: Pool, mails: Sink) -> None:  # noqa: F811
    sender = sender_of(pool, mails)
    task = asyncio.ensure_future(sender.run())
    await asyncio.sleep(0.2)
    await write(pool, [1])
    written = asyncio.get_running_loop().time()
    sender.wake.set()

    await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    assert asyncio.get_running_loop().time() - written < POLL_SECONDS - 1
    task.cancel()
    await asyncio.wait([task])


async def test_a_deferred_mail_is_sent_when_it_is_due(pool: Pool, mails: Sink) -> None:  # noqa: F811
    await write(pool, [1])
    await pool.execute("UPDATE mail SET due = $1", datetime.now(UTC) + timedelta(seconds=1.3))
    task = asyncio.ensure_future(sender_of(pool, mails).run())

    await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    late = await pool.fetchval("SELECT extract(epoch FROM ended_at - due) FROM mail")
    assert 0 <= late < POLL_SECONDS - 2
    task.cancel()
    await asyncio.wait([task])
