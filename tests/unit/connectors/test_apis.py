"""Every CRM before a server that answers as its vendor documents: the same visits by webhook, by API, and by both."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.simulator.model import DealChange
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import DealFact, Parsed
from shared.contracts.events import EventType
from tests.support.crms.base import FakeCrm, Trouble
from tests.support.crms.salesforce import FakeSalesforce
from tests.support.crms.world import FAKES, running
from tests.unit.connectors.test_round_trip import END, events, found, history, plainly
from tests.unit.enricher.support import asking, events_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# To the second, as Pipedrive and Salesforce send their times.
SECOND = 1_000_000
PRECISION = {"hubspot": 1000, "pipedrive": SECOND, "close": 1000, "salesforce": SECOND}
KINDS = sorted(FAKES)


@pytest.fixture(params=KINDS)
def fake(request: pytest.FixtureRequest) -> Iterator[FakeCrm]:
    with running(request.param) as crm:
        yield crm


async def all_of(crm: CrmApi, since: datetime = LONG_AGO, place: str = "") -> list[Parsed]:
    return [one for page in [page async for page in crm.all(since, place)] for one in page.parsed]


async def changed_of(crm: CrmApi, since: datetime) -> list[Parsed]:
    return [one for page in [page async for page in crm.changed(since)] for one in page.parsed]


@pytest.fixture
def half_year(fake: FakeCrm) -> FakeCrm:
    fake.take(history())
    return fake


@pytest.mark.slow
async def test_history_over_the_api_gives_the_visits_that_webhooks_give(half_year: FakeCrm) -> None:
    unit = PRECISION[half_year.kind]
    async with asking(half_year) as crm:
        by_api = events_of(await all_of(crm), END)

    assert found(by_api, unit) == plainly(unit)
    both = by_api + events(half_year.kind)
    random.Random(1).shuffle(both)
    assert found(both, unit) == plainly(unit)
    assert not {event.key.id for event in by_api} & {event.key.id for event in events(half_year.kind)}


def some(count: int = 3) -> list[DealChange]:
    """The first happenings of a few deals."""
    first = list(dict.fromkeys(one.deal for one in history()))[:count]
    return [one for one in history() if one.deal in first]


@pytest.mark.slow
async def test_reading_twice_or_from_a_place_gives_the_same_events(fake: FakeCrm) -> None:
    fake.take(some(90))
    fake.page = 7
    async with asking(fake) as crm:
        pages = [page async for page in crm.all(LONG_AGO, "")]
        middle = len(pages) // 2
        rest = [page async for page in crm.all(LONG_AGO, pages[middle].cursor)]

    whole = [one for page in pages for one in page.parsed]
    again = [one for page in [*pages[: middle + 1], *rest] for one in page.parsed]
    assert len(pages) > 10
    assert again == whole
    assert len({(one.deal, one.id) for one in whole if isinstance(one, DealFact)}) == len(whole)


async def test_deals_are_read_with_their_history_and_unknown_ones_left_out(fake: FakeCrm) -> None:
    fake.take(some())
    known = [fake.number(deal) for deal in fake.deals]
    async with asking(fake) as crm:
        told = await crm.read([*known, fake.number(99_999_999)])
        everything = await all_of(crm)

    assert set(told) == set(known)
    assert sorted(map(str, (one for said in told.values() for one in said))) == sorted(map(str, everything))


async def test_what_changed_since_a_time_is_listed_and_what_was_deleted(fake: FakeCrm) -> None:
    fake.take(some(4))
    fake.page = 1
    late = sorted(fake.deals.values(), key=lambda kept: kept.modified)[-2:]
    gone = sorted(fake.deals.values(), key=lambda kept: kept.modified)[0]
    # Lately: Close keeps its event log for 30 days.
    deleted = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    fake.delete(gone.deal.id, deleted)
    async with asking(fake) as crm:
        pages = [page async for page in crm.changed(late[0].modified)]

    told = [one for page in pages for one in page.parsed if isinstance(one, DealFact)]
    assert {one.deal for one in told} == {fake.number(kept.deal.id) for kept in [*late, gone]}
    (end,) = {(one.deal, one.time) for one in told if one.type is EventType.DELETED}
    assert end == (fake.number(gone.deal.id), deleted)
    reached = [page.reached for page in pages if page.reached is not None]
    assert reached == sorted(reached)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
async def test_nothing_is_missed_that_changed_before_the_pass_whatever_changes_meanwhile(
    fake: FakeCrm, seed: int
) -> None:
    chance, now = random.Random(seed), END
    fake.take(some(20))
    deals = list(fake.deals)
    # Many at one instant, as an import changes them; Close counts microseconds.
    for deal in chance.sample(deals, 2 if fake.kind == "close" else 8):
        fake.touch(deal, now)
    fake.page, left = 3, 60

    def change() -> None:
        nonlocal now, left
        for deal in chance.sample(deals, min(left, chance.randrange(3))):
            now, left = now + timedelta(seconds=1), left - 1
            fake.touch(deal, now)

    async with asking(fake, per_second=1000) as crm:
        since = min(kept.modified for kept in fake.deals.values())
        fake.meanwhile = change
        told = {one.deal for one in await changed_of(crm, since) if isinstance(one, DealFact)}

    assert told == {fake.number(deal) for deal in deals}


@pytest.mark.slow
async def test_only_deals_that_were_open_since_then_are_filled(half_year: FakeCrm) -> None:
    since = END - timedelta(days=30)
    async with asking(half_year) as crm:
        told = {one.deal for one in await all_of(crm, since) if isinstance(one, DealFact)}

    expected = {
        half_year.number(kept.deal.id)
        for kept in half_year.deals.values()
        if kept.deal.status == "open" or kept.modified >= since
    }
    assert 0 < len(expected) < len(half_year.deals)
    assert told == expected


@pytest.mark.slow
async def test_limits_outages_and_slow_answers_are_waited_for(fake: FakeCrm) -> None:
    fake.take(some())
    deals = [fake.number(deal) for deal in fake.deals]
    async with asking(fake, give_up=60, timeout_seconds=0.3) as crm:
        expected = await crm.read(deals)
        fake.troubles += [Trouble(429, {"Retry-After": "1"}), Trouble(503), Trouble(200, {}, 0.6), Trouble(500)]
        assert await crm.read(deals) == expected
    assert not fake.troubles


@pytest.mark.slow
async def test_no_more_is_asked_than_is_allowed(fake: FakeCrm) -> None:
    fake.take(some(1))
    if isinstance(fake, FakeSalesforce):
        # A session that ends is opened again in addition to the limit.
        fake.session_lasts = 1000
    (deal,) = [fake.number(deal) for deal in fake.deals]
    async with asking(fake, per_second=20) as crm:
        began = time.monotonic()
        while len(fake.asked) < 40:
            await crm.read([deal])
    assert time.monotonic() - began >= 0.9 * (40 - 20) / 20, "twenty at once, then twenty a second"


async def test_a_rest_that_is_too_long_is_told_and_nothing_is_asked_meanwhile(fake: FakeCrm) -> None:
    fake.take(some())
    deals = [fake.number(deal) for deal in fake.deals]
    async with asking(fake, give_up=1) as crm:
        fake.troubles += [Trouble(429, {"Retry-After": "120"})]
        for _ in range(2):
            with pytest.raises(CrmUnavailable) as error:
                await crm.read(deals)
            assert error.value.after == pytest.approx(120, abs=2)
    assert len(fake.asked) == 1


async def test_refused_credentials_are_told_at_once(fake: FakeCrm) -> None:
    fake.allowed = False
    async with asking(fake) as crm:
        with pytest.raises(CrmRejected) as error:
            await crm.read([fake.number(1)])
    assert error.value.bad_credentials


async def test_a_server_that_is_away_is_not_waited_for_for_ever(fake: FakeCrm) -> None:
    fake.stop()
    async with asking(fake, give_up=0.1) as crm:
        with pytest.raises(CrmUnavailable):
            await crm.read([fake.number(1)])
