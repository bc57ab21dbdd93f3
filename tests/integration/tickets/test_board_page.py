"""The page of a pipeline: every stage at a glance, as it is now."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from tests.integration.tickets.records import TicketParts, record, records
from tests.integration.tickets.test_now import now_event, told_at, words
from tests.support.problems import event
from tests.support.week_messages import NEW_CLOSED, quiet, week_events, week_problem

BOARD = "/pipelines/new"


async def test_it_shows_each_stage_as_it_is_now_in_order(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(now_event(await told_at(web) + timedelta(seconds=1)), 0))

    page = await web.get(BOARD)

    shown = words(page)
    assert "93 deals in work; beyond a limit: Proposal." in shown
    found = [page.text.index(f"<bdi>{stage}</bdi></a></h2>") for stage in ("Demo", "Proposal", "Legal")]
    assert found == sorted(found)
    assert "93 deals in workthe oldest for 80 days" in shown
    assert "beyond: 5 deals or more for longer than 21 days; now 46 of 93 deals, 49 %" in shown
    assert "more than 25 deals" in shown
    assert "Deals wait too long in Proposal not yet seen, since" in shown
    assert 'href="/tickets/1"' in page.text


async def test_before_the_first_numbers_it_shows_what_is_watched_and_the_tickets(web: httpx.AsyncClient) -> None:
    shown = words(await web.get(BOARD))

    assert "No numbers have come yet." in shown
    assert "– deals in work" in shown
    assert "5 deals or more for longer than 21 days" in shown
    assert "Deals wait too long in Proposal" in shown
    assert "No whole week has been measured yet." in shown
    assert "beyond" not in shown


async def test_what_came_in_left_and_closed_is_of_the_last_whole_week(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    newest = {
        Chart("new", "proposal", Column.ARRIVALS): 12,
        Chart("new", "proposal", Column.DEPARTURES): 9,
        NEW_CLOSED: 7,
        Chart("new", "", Column.WON): 4,
        Chart("new", "", Column.LOST): 3,
    }
    weeks = [one for chart, value in newest.items() for one in week_events(chart, [*quiet(10), value])]
    # A stage that nothing came into yet, and another pipeline that is a week ahead.
    weeks += week_events(Chart("new", "demo", Column.ARRIVALS), [*quiet(10), None])
    weeks += week_events(Chart("old", "proposal", Column.ARRIVALS), quiet(12))
    await parts.handle(*records(weeks))

    shown = words(await web.get(BOARD))

    assert "12 came in, 9 left" in shown
    assert shown.count("came in") == 2, "one stage, and the note"
    assert "7 deals closed 4 won, 3 lost" in shown
    assert "is of the week of 10 March, the last whole one" in shown


async def test_tickets_of_the_whole_pipeline_come_first(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(*records([event(week_problem("shift", NEW_CLOSED, range(40, 44)))]))

    page = await web.get(BOARD)

    assert "Open tickets of the whole pipeline:" in words(page)
    assert page.text.index('href="/tickets/2"') < page.text.index('<ol class="board">')


async def test_a_closed_ticket_is_not_on_the_board(web: httpx.AsyncClient) -> None:
    form = {"version": "1", "confirmed": "yes", "outcome": "wont-fix", "reason": "It is so."}
    await web.post("/tickets/1/close", data=form)

    assert "/tickets/1" not in (await web.get(BOARD)).text


async def test_a_board_that_has_not_changed_is_not_sent_again(web: httpx.AsyncClient) -> None:
    tag = (await web.get(BOARD)).headers["etag"]

    assert (await web.get(BOARD, headers={"if-none-match": tag})).status_code == 304


async def test_the_pipelines_and_the_stages_lead_to_it(web: httpx.AsyncClient) -> None:
    for path in ("/pipelines", "/stage?pipeline=new&stage=proposal"):
        assert f'href="{BOARD}"' in (await web.get(path)).text


@pytest.mark.parametrize("path", ["/pipelines/", "/pipelines/none", "/pipelines/new/proposal", "/pipelines/%00"])
async def test_a_pipeline_that_the_policy_does_not_have_has_no_board(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)

    assert (answer.status_code, "The policy has no such pipeline" in answer.text) == (404, True)
