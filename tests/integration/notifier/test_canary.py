"""Mails of the canary on a real Postgres and a real mail server: at most one an hour is handed over, none is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.app import build_sender
from services.notifier.canary import with_canary
from services.notifier.delivery.trial_mails import TrialMails
from services.notifier.metrics import NotifierMetrics
from services.notifier.settings import NotifierSettings
from services.notifier.store import retention
from shared.contracts.canary import CANARY
from shared.contracts.notices import NoticeEvent
from shared.contracts.tickets import TicketChange, TicketEvent
from shared.postgres.pool import Pool, open_pool
from shared.postgres.pruning import Retention
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.support.notices import LINKS, handler_of, writer_of
from tests.support.problems import policy, ticket_event
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually

KEY = f"wip-high/{CANARY}/line"
CLOCK = SystemClock()


class CanaryMails:
    """A replica of the notifier: `handle` writes mails, `sending` sends them."""

    def __init__(self, pool: Pool, server: Sink) -> None:
        self.pool, self.settings = pool, NotifierSettings(smtp_port=server.port)
        self.metrics = NotifierMetrics(CollectorRegistry())
        own = handler_of(writer_of(policy()))
        self._handler = with_canary(own, self.settings, CLOCK, lambda: None)

    async def handle(self, *events: TicketEvent) -> None:
        async with PostgresTransactions(self.pool).begin() as transaction:
            await self._handler.handle(transaction, [Received(None, event) for event in events])  # type: ignore[arg-type]

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        parts = self.settings, self.pool, policy(), LINKS, self.metrics, Progress(), CLOCK, lambda: None
        task = asyncio.ensure_future(build_sender(*parts).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.pool.fetch("SELECT state FROM mail ORDER BY id")]

    async def results(self) -> list[tuple[int, str, str | None]]:
        rows = await self.pool.fetch("SELECT value FROM outbox ORDER BY id")
        found = [NoticeEvent.model_validate_json(row["value"]).data for row in rows]
        return [(data.ticket, data.result.value, data.detail) for data in found]


@pytest.fixture
def server() -> Iterator[Sink]:
    with sink() as running:
        yield running


@pytest.fixture
async def mails(dsn: str, server: Sink) -> AsyncIterator[CanaryMails]:
    pool = await open_pool(dsn, "notices")
    yield CanaryMails(pool, server)
    await pool.close()


def opened(number: int, change: TicketChange = TicketChange.OPENED, age: timedelta = timedelta(0)) -> TicketEvent:
    """A ticket of the canary."""
    at = CLOCK.now() - age
    fields = {"key": KEY, "kind": "wip-high", "pipeline": CANARY, "stage": "line", "at": at, "opened_at": at}
    return ticket_event(change, number, chart=False, **fields)


async def test_a_mail_is_handed_over_once_an_hour_and_only_offered_in_between(mails: CanaryMails, server: Sink) -> None:
    async with mails.sending():
        for number in (1, 2, 3):
            await mails.handle(opened(number))
            await eventually(mails.states, lambda states, wanted=number: states == ["sent"] * wanted)

    assert [str(mail["To"]) for mail in server.mails] == ["Canary <andon-canary@andon.invalid>"]
    assert await mails.results() == [(number, "sent", None) for number in (1, 2, 3)]
    counted = {
        sample.name: sample.value
        for metric in (mails.metrics.mails, mails.metrics.problem_to_mail, mails.metrics.delay)
        for family in metric.collect()
        for sample in family.samples
        if sample.name.endswith(("_total", "_count"))
    }
    assert set(counted.values()) == {0}


async def test_a_recipient_that_is_refused_shows_also_where_nothing_is_handed_over(
    mails: CanaryMails, server: Sink
) -> None:
    async with mails.sending():
        await mails.handle(opened(1))
        await eventually(mails.states, lambda states: states == ["sent"])
        server.answers["RCPT"] = "550 5.1.1 nobody here"
        await mails.handle(opened(2))
        await eventually(mails.states, lambda states: states == ["sent", "refused"])

    assert (await mails.results())[-1] == (2, "refused", "RCPT TO: 550 5.1.1 nobody here")


async def test_only_its_openings_are_mailed_each_once_and_nothing_of_its_tickets_is_kept(mails: CanaryMails) -> None:
    first = opened(1)
    await mails.handle(first, opened(1, TicketChange.CLEARED), opened(2, age=timedelta(hours=2)), ticket_event())
    await mails.handle(first)

    rows = await mails.pool.fetch("SELECT to_mail FROM mail ORDER BY to_mail")
    assert [row["to_mail"] for row in rows] == ["andon-canary@andon.invalid", "head@sales.example"]
    assert await mails.pool.fetch("SELECT DISTINCT key FROM ticket_now") == [("aging/new/proposal",)]


async def test_a_mail_that_waited_too_long_is_dropped(mails: CanaryMails, server: Sink) -> None:
    await mails.handle(opened(1))
    await mails.pool.execute("UPDATE mail SET wanted_at = wanted_at - interval '2 hours'")
    async with mails.sending():
        await eventually(mails.states, lambda states: states == ["dropped"])

    assert server.contents == 0


async def test_what_it_leaves_is_deleted_after_an_hour(mails: CanaryMails) -> None:
    await mails.handle(opened(1), opened(2), ticket_event())
    await mails.pool.execute("UPDATE mail SET state = 'sent', ended_at = now()")
    await mails.pool.execute(
        "UPDATE mail SET ended_at = ended_at - interval '2 hours' WHERE message_id LIKE '%ticket-1-%'"
    )
    await Retention(partial(retention.prune, mails.pool), timedelta(days=400), CLOCK).run_once()

    assert await mails.pool.fetch("SELECT ticket, key FROM thread ORDER BY key") == [
        (1, "aging/new/proposal"),
        (2, KEY),
    ]
    assert await mails.pool.fetchval("SELECT count(*) FROM mail") == 2


def test_the_pause_is_counted_from_the_last_one_that_was_handed_over() -> None:
    seconds = [0.0]
    trial = TrialMails(timedelta(minutes=5), lambda: seconds[0])
    assert trial.is_due()
    trial.handed_over()
    seconds[0] = 299
    assert not trial.is_due()
    seconds[0] = 300
    assert trial.is_due()
