"""The page of a stage: its open deals, its days, and its tickets."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

from services.tickets.web.stage_rows import stage_address
from shared.contracts.now import NowEvent, StayCurve
from tests.integration.tickets.records import TicketParts, record
from tests.integration.tickets.test_now import now_event, told_at, words
from tests.support.page_charts import drawings

PROPOSAL = stage_address("new", "proposal")


def with_stays(at: datetime, stays: StayCurve) -> NowEvent:
    event = now_event(at)
    return event.model_copy(update={"data": event.data.model_copy(update={"stays": stays})})


async def test_a_stage_shows_its_open_deals_with_the_limit_and_its_tickets(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    before = words(await web.get(PROPOSAL))
    assert "No numbers have come yet" in before
    assert "Deals wait too long in Proposal" in before

    await parts.handle(record(now_event(await told_at(web) + timedelta(seconds=1)), 0))

    page = await web.get(PROPOSAL)
    assert "93 deals in work, the oldest for 80 days" in words(page)
    assert "93 open deals, the oldest for 80 days" in words(page)
    charts = await drawings(web, page)
    assert len(charts) == 3
    assert "limit 21 days" in "".join(charts)
    assert "waiting too long, which is 5 deals or more for longer than 21 days" in words(page)
    assert f'href="{PROPOSAL.replace("&", "&amp;")}"' in (await web.get("/pipelines")).text
    assert f'href="{PROPOSAL.replace("&", "&amp;")}"' in (await web.get("/tickets/1")).text


async def test_how_long_deals_stay_is_a_curve_with_its_learned_limit(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    at = await told_at(web) + timedelta(seconds=1)
    steps = tuple((86_400.0 * day, 1 - day / 40) for day in range(41))
    stays = StayCurve(at=at, finished=200, open=12, limit_seconds=34 * 86_400.0, steps=steps)
    await parts.handle(record(with_stays(at, stays), 0))

    page = await web.get(PROPOSAL)

    assert "85 of 100 deals stay in Proposal for at most 34 days" in words(page)
    charts = await drawings(web, page)
    assert len(charts) == 4
    for text in ("deals that stay longer", "85 of 100 within 34", "limit 21 days"):
        assert text in "".join(charts)
    assert "50 % of deals stay longer than 20 days" in "".join(charts)


async def test_a_stage_that_more_than_15_of_100_never_leave_has_no_learned_limit(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    at = await told_at(web) + timedelta(seconds=1)
    stays = StayCurve(at=at, finished=40, open=60, limit_seconds=None, steps=((0.0, 1.0), (86_400.0, 0.6)))
    await parts.handle(record(with_stays(at, stays), 0))

    assert "How long deals stay in Proposal" in words(await web.get(PROPOSAL))


@pytest.mark.parametrize("stage", ["demo", "legal"])
async def test_a_stage_without_numbers_has_a_page(web: httpx.AsyncClient, stage: str) -> None:
    page = await web.get(stage_address("new", stage))

    assert (page.status_code, "None so far." in page.text) == (200, True)


@pytest.mark.parametrize("address", ["/stage", "/stage?pipeline=new", stage_address("new", "a/b"), "/stage?stage=%00"])
async def test_a_stage_that_the_policy_does_not_have_is_none(web: httpx.AsyncClient, address: str) -> None:
    answer = await web.get(address)

    assert (answer.status_code, "The policy has no such stage" in answer.text) == (404, True)
