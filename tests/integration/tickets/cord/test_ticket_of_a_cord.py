"""The ticket of a cord on every page: what was seen, the stage's own numbers, the deals that are known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.web.page_context import PageContext
from services.tickets.web.pages import TicketPages
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.runtime.instants import moment
from tests.integration.tickets.cord.conftest import CordWorld
from tests.integration.tickets.records import nothing, record, records
from tests.integration.tickets.test_now import now_event, words
from tests.support.week_messages import WEEKS, quiet, week_events

DAY = 86_400
STAGE = ("new", "proposal")


@pytest.fixture
async def web(world: CordWorld) -> AsyncIterator[httpx.AsyncClient]:
    pages = TicketPages(PageContext(world.pool, world.policy, world.clock), world.parts.writer, nothing)
    routes = [*world.parts.make_api().routes(), *pages.routes()]
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://andon.example") as client:
        yield client


async def weeks(world: CordWorld, stays: Sequence[int], wip: Sequence[int]) -> None:
    """Weeks of the stage, which are over now."""
    charts = {Column.TIME_IN_STAGE_MEDIAN: [days * DAY for days in stays], Column.WIP_END: wip}
    for column, values in charts.items():
        await world.parts.handle(*records(week_events(Chart(*STAGE, column), values)))
    world.clock.at = moment(WEEKS.end(len(stays) - 1)) + timedelta(hours=12)


async def asks_for(world: CordWorld) -> str:
    assert (await world.pull(await world.link())).status_code == 303
    return (await world.messages())[-1].data.asks_for


async def test_a_pull_within_the_limits_says_so_with_this_stages_numbers(
    world: CordWorld, web: httpx.AsyncClient
) -> None:
    await weeks(world, quiet(40), quiet(40, 60))

    said = await asks_for(world)

    assert "The stage's own numbers are as usual: in the week of " in said
    assert "time in stage (median): 39 days (usually 32 to 48 days)" in said
    assert "deals in work at the end of the week: 59 deals (usually 52 to 68 deals)" in said
    assert said.endswith("A reaction to a single week makes a stable stage swing more.")
    page = await web.get("/tickets/1")
    assert "The stage's own numbers are as usual" in words(page).replace("&#39;", "'")
    assert "How long deals usually stay in Proposal, week by week" in words(page)


async def test_a_number_outside_its_limits_is_pointed_at(world: CordWorld) -> None:
    await weeks(world, quiet(40), [*quiet(39, 60), 90])

    said = await asks_for(world)

    assert said.startswith("Something stands out: in the week of ")
    assert "90 deals" in said
    assert "time in stage" not in said


async def test_weeks_that_are_worse_ask_what_happened(world: CordWorld) -> None:
    await weeks(world, [*quiet(36), 70, 71, 72, 73], quiet(40, 60))

    assert (await asks_for(world)).startswith("Something happened around the week of")


async def test_young_charts_tell_nothing(world: CordWorld) -> None:
    assert "0 of 24" in await asks_for(world)
    await weeks(world, quiet(12), quiet(12, 60))
    assert "11 of 24" in await asks_for(world)


@pytest.mark.parametrize("named", ["crm:n3", "n3", "New 3"])
async def test_a_deal_that_is_known_becomes_evidence(world: CordWorld, web: httpx.AsyncClient, named: str) -> None:
    await world.parts.handle(record(now_event(world.clock.now()), 0))

    await world.pull(await world.link(), "It waits.", deal=named)

    (message,) = await world.messages()
    assert message.data.evidence is not None
    assert [deal.deal for deal in message.data.evidence.worst] == ["crm:n3"]
    assert "Seen in Proposal with the deal New 3: “It waits”" in message.data.sentence
    assert "The only deal" in words(await web.get("/tickets/1"))


@pytest.mark.parametrize("named", ["n", "crm:", "n300", "%", "New"])
async def test_a_deal_that_is_not_known_is_shown_as_it_was_written(world: CordWorld, named: str) -> None:
    await world.parts.handle(record(now_event(world.clock.now()), 0))

    await world.pull(await world.link(), "It waits.", deal=named)

    (message,) = await world.messages()
    assert message.data.evidence is None
    assert f"Seen in Proposal with the deal {named}: “It waits”" in message.data.sentence


async def test_every_page_shows_it(world: CordWorld, web: httpx.AsyncClient) -> None:
    token = await world.link()
    await world.pull(token, "It waits <i>long</i>.")
    world.clock.pass_by(hours=2)
    await world.pull(token, "It waits again.", day="2026-11-01")

    listed, page = words(await web.get("/tickets")), words(await web.get("/tickets/1"))
    one = (await web.get("/api/v1/tickets/1")).json()
    assert "Somebody pulled the cord in Proposal" in listed
    assert "Pulled 2 times in Proposal. The last time, on 1 November: “It waits again”." in listed
    assert "The cord was first pulled" in page
    assert "When it was found" not in page
    assert "The cord was pulled: It waits &lt;i&gt;long&lt;/i&gt;." in page
    assert "The cord was pulled again: It waits again. (On 1 November.)" in page
    assert "No deal that Andon knows was named when the cord was pulled." in page
    assert (one["kind"], one["count"], [entry["change"] for entry in one["history"]]) == (
        "cord",
        2,
        ["opened", "pulled"],
    )
    assert (await web.get("/tickets?kind=cord")).status_code == 200


async def test_it_is_closed_without_a_second_question(world: CordWorld, web: httpx.AsyncClient) -> None:
    await world.pull(await world.link())

    form = {"version": "1", "outcome": "cleared-without-change", "reason": "It came back by itself."}
    assert (await web.post("/tickets/1/close", data=form)).status_code == 303
    assert "The problem goes on" not in words(await web.get("/tickets/1"))
    assert (await web.get("/api/v1/tickets/1")).json()["state"] == "closed"
