"""Claims of mails: a replica does not send what another took over, and marks what it sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.app import build_sender
from services.notifier.delivery.queue import MailQueue, QueueTimes
from services.notifier.delivery.sender import Sender
from services.notifier.metrics import NotifierMetrics
from services.notifier.settings import NotifierSettings
from shared.contracts.notices import NoticeResult
from shared.contracts.topics import NOTICES
from shared.postgres.pool import Pool, open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from tests.support.notices import LINKS, id_of, write_change
from tests.support.problems import policy, ticket_event
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually
from tests.support.wire import wire

END_CLAIMS = """
UPDATE mail SET claimed_until = now() - interval '1 minute' FROM notice
WHERE notice.mail = mail.id AND ticket = ANY($1) AND state = 'waiting'
"""

STATES = "SELECT ticket, state FROM notice JOIN mail ON mail.id = notice.mail"


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


def sender_of(pool: Pool, mails: Sink, registry: CollectorRegistry | None = None, **given: Any) -> Sender:
    settings, metrics = (
        NotifierSettings(smtp_port=mails.port, **given),
        NotifierMetrics(registry or CollectorRegistry()),
    )
    return build_sender(settings, pool, policy(), LINKS, metrics, Progress(), SystemClock(), lambda: None)


def queue_of(pool: Pool, settle: timedelta = timedelta(0)) -> MailQueue:
    two_minutes = timedelta(minutes=2)
    return MailQueue(pool, NOTICES, lambda: None, QueueTimes(two_minutes, two_minutes, settle, timedelta(hours=1)))


@asynccontextmanager
async def replica(pool: Pool, mails: Sink, **given: Any) -> AsyncIterator[None]:
    """A sender at work."""
    task = asyncio.ensure_future(sender_of(pool, mails, **given).run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def write(pool: Pool, tickets: Sequence[int]) -> None:
    """Notices about these tickets, all at once."""
    now = datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        for number in tickets:
            facts = ticket_event(ticket=number).data
            assert await write_change(connection, facts, now, timedelta(hours=1)) is not None


async def states(pool: Pool) -> dict[int, str]:
    return {row["ticket"]: row["state"] for row in await pool.fetch(STATES)}


async def all_sent(pool: Pool, tickets: Sequence[int]) -> None:
    await eventually(lambda: states(pool), lambda found: found == dict.fromkeys(tickets, "sent"))


def ids(tickets: Sequence[int]) -> list[str]:
    return [id_of(ticket_event(ticket=number).data) for number in tickets]


def at_first_mail(mails: Sink, loop: asyncio.AbstractEventLoop, meanwhile: Any) -> None:
    """Run `meanwhile` when the server has the first mail and has not answered yet."""

    def once() -> None:
        mails.on_mail = lambda: None
        asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(60)

    mails.on_mail = once


async def test_a_mail_that_another_replica_took_over_is_not_sent_again(pool: Pool, mails: Sink) -> None:
    with sink() as others:

        async def meanwhile() -> None:
            await pool.execute(END_CLAIMS, [2, 3, 4])
            async with replica(pool, others):
                await eventually(lambda: states(pool), lambda found: list(found.values()).count("sent") == 3, 50)

        at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
        await write(pool, [1, 2, 3, 4])
        async with replica(pool, mails):
            await all_sent(pool, [1, 2, 3, 4])
            await write(pool, [5])
            await all_sent(pool, [1, 2, 3, 4, 5])

        assert (mails.ids(), others.ids()) == (ids([1, 5]), ids([2, 3, 4]))


async def test_a_claim_of_another_replica_cannot_be_released_deferred_or_ended(pool: Pool, mails: Sink) -> None:
    await write(pool, [1, 2, 3])
    queue, now = queue_of(pool), datetime.now(UTC)
    first, _ = await queue.claim(now, 20)
    await pool.execute(END_CLAIMS, [1, 2, 3])
    second, _ = await queue.claim(now, 20)

    await queue.release(first[:1])
    await queue.defer(first[1], now, "451 come later", False, now)
    assert not await queue.end(first[2], NoticeResult.REFUSED, "550 no such user", now)

    assert [await queue.hand_over(mail) for mail in first] == [None] * 3
    assert [await queue.hand_over(mail) is not None for mail in second] == [True] * 3


async def test_a_claim_outlasts_all_answers_of_the_server(pool: Pool, mails: Sink) -> None:
    lasts: list[timedelta] = []

    async def meanwhile() -> None:
        lasts.append(await pool.fetchval("SELECT claimed_until - now() FROM mail"))

    at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
    await write(pool, [1])
    async with replica(pool, mails, smtp_timeout_seconds=300):
        await all_sent(pool, [1])

    # MAIL, RCPT and DATA are answered, and the content within ten minutes.
    assert lasts[0] > 3 * timedelta(seconds=300) + timedelta(minutes=10)


async def test_a_mail_sent_while_postgres_was_down_is_marked_and_not_sent_again(
    dsn: str, pool: Pool, mails: Sink
) -> None:
    async with wire(dsn) as (cable, over):
        at_first_mail(mails, asyncio.get_running_loop(), cable.cut)
        await write(pool, [1])
        async with await open_pool(over, "notices") as behind, replica(behind, mails):
            await eventually(lambda: asyncio.sleep(0, cable.refused), lambda times: times >= 5)
            # The outage outlasts the claim.
            await pool.execute(END_CLAIMS, [1])
            cable.restore()
            await all_sent(pool, [1])
            await write(pool, [2])
            await all_sent(pool, [1, 2])

    assert mails.ids() == ids([1, 2])


async def test_a_claim_that_ran_out_while_postgres_was_down_is_not_taken_over_at_once(
    pool: Pool,
) -> None:
    await write(pool, [1])
    now = datetime.now(UTC)
    (sent,), _ = await queue_of(pool).claim(now, 20)
    await pool.execute(END_CLAIMS, [1])

    others, _ = await queue_of(pool, settle=timedelta(days=1000)).claim(now, 20)
    assert await queue_of(pool).end(sent, NoticeResult.SENT, None, now)

    assert others == []


async def test_a_stop_finishes_the_current_mail_and_releases_the_others(pool: Pool, mails: Sink) -> None:
    await write(pool, [1, 2, 3])
    stopped: list[asyncio.Task[None]] = []

    async def meanwhile() -> None:
        stopped[0].cancel()
        await asyncio.sleep(0.2)

    at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
    stopped.append(asyncio.ensure_future(sender_of(pool, mails).run()))
    await asyncio.wait(stopped)

    assert stopped[0].cancelled()
    assert (await states(pool), mails.ids()) == ({1: "sent", 2: "waiting", 3: "waiting"}, ids([1]))
    assert await pool.fetchval("SELECT count(*) FROM mail WHERE claimed_until > now()") == 0


async def test_a_first_mail_is_timed_from_the_finding_without_the_wait_that_was_asked_for(
    pool: Pool, mails: Sink
) -> None:
    registry, now = CollectorRegistry(), datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        for ticket, minutes in ((1, 1), (2, 61)):
            facts = ticket_event(ticket=ticket, detected_at=now - timedelta(minutes=minutes)).data
            assert await write_change(connection, facts, now, timedelta(0)) is not None
    # The second one was written an hour ago, for quiet hours that are over.
    await pool.execute(
        "UPDATE mail SET created_at = mail.created_at - interval '1 hour'"
        " FROM notice WHERE notice.mail = mail.id AND ticket = 2"
    )

    async with replica(pool, mails, registry=registry):
        await all_sent(pool, [1, 2])

    def timed(bound: str) -> float | None:
        return registry.get_sample_value("andon_problem_to_mail_seconds_bucket", {"le": bound})

    assert [timed("30.0"), timed("300.0"), timed("+Inf")] == [0, 2, 2]
