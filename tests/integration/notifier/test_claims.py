"""Who has a mail in hand: a replica whose claim another took over does not send, and what went out is noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.delivery.sender import Sender
from services.notifier.domain.decide import Earlier, decide
from services.notifier.metrics import NotifierMetrics
from services.notifier.settings import NotifierSettings
from services.notifier.store import notices as store
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from tests.support.problems import policy, ticket_event
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually
from tests.support.wire import wire

RAN_OUT = "UPDATE notice SET claimed_until = now() - interval '1 minute' WHERE ticket = ANY($1) AND state = 'waiting'"


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Any]:
    await migrate_all(dsn)
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


@asynccontextmanager
async def replica(pool: Any, mails: Sink, **given: Any) -> AsyncIterator[None]:
    """A sender at work."""
    settings = NotifierSettings(smtp_port=mails.port, **given)
    metrics = NotifierMetrics(CollectorRegistry())
    sender = Sender(pool, settings, policy(), metrics, Progress(), SystemClock(), asyncio.Event())
    task = asyncio.ensure_future(sender.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def write(pool: Any, tickets: Sequence[int]) -> None:
    """The intents to tell of so many tickets, all at once."""
    now = datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        for number in tickets:
            about = ticket_event(ticket=number).data
            decision = decide(about.change, now, Earlier(), timedelta(hours=1), about.outcome)
            assert decision is not None
            await store.write(connection, about, decision, policy().pipelines["new"].owner)


async def states(pool: Any) -> dict[int, str]:
    return {row["ticket"]: row["state"] for row in await pool.fetch("SELECT ticket, state FROM notice")}


async def all_sent(pool: Any, tickets: Sequence[int]) -> None:
    await eventually(lambda: states(pool), lambda found: found == dict.fromkeys(tickets, "sent"))


def ids(tickets: Sequence[int]) -> list[str]:
    return [f"<andon.ticket-{number}.1@localhost.localdomain>" for number in tickets]


def at_first_mail(mails: Sink, loop: asyncio.AbstractEventLoop, meanwhile: Any) -> None:
    """Run `meanwhile` while the server has the first mail and has not answered."""

    def once() -> None:
        mails.on_mail = lambda: None
        asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(60)

    mails.on_mail = once


async def test_what_another_replica_took_over_during_a_slow_mail_is_not_sent_again(pool: Any, mails: Sink) -> None:
    with sink() as others:

        async def meanwhile() -> None:
            await pool.execute(RAN_OUT, [2, 3, 4])
            async with replica(pool, others):
                await eventually(lambda: states(pool), lambda found: list(found.values()).count("sent") == 3, 50)

        at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
        await write(pool, [1, 2, 3, 4])
        async with replica(pool, mails):
            await all_sent(pool, [1, 2, 3, 4])
            await write(pool, [5])
            await all_sent(pool, [1, 2, 3, 4, 5])

        assert (mails.ids(), others.ids()) == (ids([1, 5]), ids([2, 3, 4]))


async def test_what_another_replica_has_in_hand_is_neither_given_back_nor_put_off_nor_refused(
    pool: Any, mails: Sink
) -> None:
    await write(pool, [1, 2, 3])
    first = await store.claim(pool, datetime.now(UTC), 20, timedelta(minutes=2), timedelta(0))
    await pool.execute(RAN_OUT, [1, 2, 3])
    second = await store.claim(pool, datetime.now(UTC), 20, timedelta(minutes=2), timedelta(0))

    await store.release(pool, first[:1])
    await store.defer(pool, first[1], datetime.now(UTC), "451 come later", False)
    assert not await store.end(pool, first[2], "refused", "550 no such user")

    assert [await store.renew(pool, notice, timedelta(minutes=2)) for notice in first] == [None] * 3
    assert [await store.renew(pool, notice, timedelta(minutes=2)) is not None for notice in second] == [True] * 3


async def test_a_claim_outlasts_all_answers_of_the_server(pool: Any, mails: Sink) -> None:
    lasts: list[timedelta] = []

    async def meanwhile() -> None:
        lasts.append(await pool.fetchval("SELECT claimed_until - now() FROM notice"))

    at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
    await write(pool, [1])
    async with replica(pool, mails, smtp_timeout_seconds=300):
        await all_sent(pool, [1])

    # EHLO, MAIL, RCPT, DATA and the content are answered.
    assert lasts[0] > 5 * timedelta(seconds=300)


async def test_a_mail_that_went_out_while_postgres_was_away_is_noted_and_not_sent_again(
    dsn: str, pool: Any, mails: Sink
) -> None:
    async with wire(dsn) as (cable, over):
        at_first_mail(mails, asyncio.get_running_loop(), cable.cut)
        await write(pool, [1])
        async with await open_pool(over, "notices") as behind, replica(behind, mails):
            await eventually(lambda: asyncio.sleep(0, cable.refused), lambda times: times >= 5)
            # The outage outlasts the claim.
            await pool.execute(RAN_OUT, [1])
            cable.restore()
            await all_sent(pool, [1])
            await write(pool, [2])
            await all_sent(pool, [1, 2])

    assert mails.ids() == ids([1, 2])


async def test_a_claim_that_ran_out_while_postgres_was_away_stays_a_while_with_who_may_have_sent_the_mail(
    pool: Any,
) -> None:
    await write(pool, [1])
    (sent,) = await store.claim(pool, datetime.now(UTC), 20, timedelta(minutes=2), timedelta(0))
    await pool.execute(RAN_OUT, [1])

    others = await store.claim(pool, datetime.now(UTC), 20, timedelta(minutes=2), timedelta(days=1000))
    assert await store.end(pool, sent, "sent", None)

    assert others == []


async def test_a_stop_lets_the_mail_in_hand_come_to_its_end_and_gives_the_others_back(pool: Any, mails: Sink) -> None:
    await write(pool, [1, 2, 3])
    stopped: list[asyncio.Task[None]] = []

    async def meanwhile() -> None:
        stopped[0].cancel()
        await asyncio.sleep(0.2)

    at_first_mail(mails, asyncio.get_running_loop(), meanwhile)
    settings, metrics = NotifierSettings(smtp_port=mails.port), NotifierMetrics(CollectorRegistry())
    sender = Sender(pool, settings, policy(), metrics, Progress(), SystemClock(), asyncio.Event())
    stopped.append(asyncio.ensure_future(sender.run()))
    await asyncio.wait(stopped)

    assert stopped[0].cancelled()
    assert (await states(pool), mails.ids()) == ({1: "sent", 2: "waiting", 3: "waiting"}, ids([1]))
    assert await pool.fetchval("SELECT count(*) FROM notice WHERE claimed_until > now()") == 0
