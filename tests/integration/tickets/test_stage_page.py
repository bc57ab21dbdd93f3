"""The page of a stage: its open deals, its days, and its tickets."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from services.tickets.web.stage_rows import stage_address
from tests.integration.tickets.records import TicketParts, record
from tests.integration.tickets.test_now import now_event, told_at, words

PROPOSAL = stage_address("new", "proposal")


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
    assert page.text.count("<svg") == 3
    assert "limit 21 days" in page.text
    assert "waiting too long, which is 5 deals or more for longer than 21 days" in words(page)
    assert f'href="{PROPOSAL.replace("&", "&amp;")}"' in (await web.get("/pipelines")).text
    assert f'href="{PROPOSAL.replace("&", "&amp;")}"' in (await web.get("/tickets/1")).text


@pytest.mark.parametrize("stage", ["demo", "legal"])
async def test_a_stage_without_numbers_has_a_page(web: httpx.AsyncClient, stage: str) -> None:
    page = await web.get(stage_address("new", stage))

    assert (page.status_code, "None so far." in page.text) == (200, True)


@pytest.mark.parametrize("address", ["/stage", "/stage?pipeline=new", stage_address("new", "a/b"), "/stage?stage=%00"])
async def test_a_stage_that_the_policy_does_not_have_is_none(web: httpx.AsyncClient, address: str) -> None:
    answer = await web.get(address)

    assert (answer.status_code, "The policy has no such stage" in answer.text) == (404, True)
