"""The ledger on a real Postgres: plans of several tickets, what came of them, and how long decisions took."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.store import waits
from services.tickets.store.waits import Wait
from services.tickets.web.ledger_page import LedgerPage
from services.tickets.web.page_context import PageContext
from shared.contracts.measures import Column
from shared.contracts.tickets import TicketOutcome
from shared.postgres.pool import Pool
from shared.wording.measures import NAMES
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.planning import CHANGE_DATE, OPENED, PLANNED, PlanningParts
from tests.support.problems import POLICY

CHANGED = datetime.fromisoformat(CHANGE_DATE).replace(tzinfo=UTC)
VERDICT = CHANGED + timedelta(weeks=5)


@pytest.fixture
def planning(pool: Pool) -> PlanningParts:
    return PlanningParts(pool)


@pytest.fixture
async def web(planning: PlanningParts) -> AsyncIterator[httpx.AsyncClient]:
    """The pages over three plans: one that worked, one that did not show it, one that was withdrawn."""
    worked = await planning.planned("proposal", countermeasure="limit")
    shown = await planning.planned("demo", countermeasure="tool", change="Buy <a robot>", aim="Demos need no room")
    stopped = await planning.planned("legal", countermeasure="limit")
    await planning.do(stopped, "withdraw", reason="No lawyer to <ask>")
    planning.day_clock.at = VERDICT
    await planning.tick()
    await found(planning, worked, TicketOutcome.VERIFIED, result="hit", effect_sentence="5 deals better.")
    await found(planning, shown, TicketOutcome.NOT_SHOWN, result="wrong-direction", reason="worse")
    planning.day_clock.at = VERDICT + timedelta(days=4)
    await planning.do(worked, "decide", decision="adopted", reason="Ten it is")
    transport = httpx.ASGITransport(page_app(planning))
    async with httpx.AsyncClient(transport=transport, base_url="http://andon.example") as client:
        yield client


async def found(planning: PlanningParts, number: int, outcome: TicketOutcome, **facts: Any) -> None:
    """What the study of a ticket has found."""
    reason = facts.pop("reason", None)
    data = {"weeks_over": 4} | facts
    await planning.pool.execute(
        "UPDATE study SET verdict = $2, reason = $3, verdict_at = $4, week = 4, data = $5 WHERE ticket = $1",
        number,
        outcome.value,
        reason,
        VERDICT,
        data,
    )
    await planning.verdict(number, outcome, VERDICT)


def rows(page: str) -> list[str]:
    """The attempts, as text."""
    items = re.findall(r'<li id="attempt-.*?</li>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", item).replace("\u00a0", " ").split()) for item in items]


def table(page: str, caption: str) -> dict[str, list[str]]:
    """The cells of a table by the name of its row."""
    part = page[page.index(f">{caption}</caption>") :]
    part = part[: part.index("</table>")]
    lines = re.findall(r'scope="row">(.*?)</th>(.*?)</tr>', part, re.DOTALL)
    return {name: re.findall(r">([^<]*)</td>", cells) for name, cells in lines}


async def test_every_plan_is_listed_with_what_came_of_it(web: httpx.AsyncClient) -> None:
    page = (await web.get("/ledger")).text

    assert "1 of 2 predictions held. Of 3 changes: 1 worked, 1 not shown to have worked, 1 stopped before" in page
    listed = rows(page)
    assert len(listed) == 3
    worked = "the change worked : 5 deals better. The prediction held. It was adopted. Ten it is"
    assert any(worked in r for r in listed)
    assert any("Changed Buy &lt;a robot&gt; (a tool or automation)" in r and "not shown" in r for r in listed)
    assert any("stopped before a verdict No lawyer to &lt;ask&gt;" in r for r in listed)
    assert 'href="/ledger" aria-current="page"' in page


async def test_predictions_are_counted_by_kind_of_change_and_of_problem(web: httpx.AsyncClient) -> None:
    page = (await web.get("/ledger")).text

    assert table(page, "By kind of change") == {
        "a limit": ["1 of 1", "2", "1", "0", "0"],
        "a tool or automation": ["0 of 1", "1", "0", "1", "0"],
    }
    assert table(page, "By kind of problem") == {"waiting too long": ["1 of 2", "3", "1", "1", "0"]}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=A+ROBOT", 1),
        ("q=lawyer", 1),
        ("q=too+early", 3),
        ("q=%25", 0),
        ("q=_", 0),
        ("found=verified", 1),
        ("found=stopped", 1),
        ("found=running", 0),
        ("countermeasure=limit", 2),
        ("pipeline=new&kind=aging", 3),
        ("kind=wip-high", 0),
        ("q=%00", 0),
        ("page=2", 0),
    ],
)
async def test_the_ledger_is_searched_by_words_and_kinds(web: httpx.AsyncClient, query: str, count: int) -> None:
    answer = await web.get(f"/ledger?{query}")

    assert (answer.status_code, len(rows(answer.text))) == (200, count)
    assert ("No planned change fits this choice" in answer.text) == (count == 0 and query != "page=2")


async def test_choices_that_are_not_known_are_named_and_empty_ones_left_out(web: httpx.AsyncClient) -> None:
    wrong, empty = await web.get("/ledger?found=lost"), await web.get("/ledger?q=&kind=aging&pipeline=")

    assert (wrong.status_code, "found: &#39;lost&#39; is not known" in wrong.text) == (422, True)
    assert (empty.status_code, empty.headers["location"]) == (303, "/ledger?kind=aging")


async def test_what_was_given_up_says_why(web: httpx.AsyncClient, planning: PlanningParts) -> None:
    await planning.do(3, "close", outcome="wont-fix", reason="It is <fine>", confirmed=True)
    page = (await web.get("/ledger")).text

    part = page[page.index("What was given up") :]
    assert "the plan was withdrawn before the change. <q><bdi>No lawyer to &lt;ask&gt;" in part
    assert "nothing will be changed. <q><bdi>It is &lt;fine&gt;" in part


async def test_waiting_for_decisions_is_measured_without_a_person(
    web: httpx.AsyncClient, planning: PlanningParts
) -> None:
    found = await waits.times(planning.pool, None, None, VERDICT + timedelta(days=10))

    assert (found[Wait.SEEN].answered, found[Wait.SEEN].waiting) == (3, 0)
    assert found[Wait.SEEN].median == PLANNED - OPENED
    assert (found[Wait.DECIDED].answered, found[Wait.DECIDED].median) == (1, timedelta(days=4))
    assert (found[Wait.DECIDED].waiting, found[Wait.DECIDED].waiting_longest) == (1, timedelta(days=10))


async def test_the_ledger_as_csv_follows_the_choice(web: httpx.AsyncClient) -> None:
    page = (await web.get("/ledger?countermeasure=limit")).text
    assert 'href="/ledger.csv?countermeasure=limit"' in page

    answer = await web.get("/ledger.csv?countermeasure=limit")

    lines = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert answer.headers["content-disposition"] == 'attachment; filename="ledger.csv"'
    assert sorted((line["found"], line["prediction"]) for line in lines) == [("stopped", ""), ("verified", "hit")]
    assert {len(line["hash"]) for line in lines} == {64}
    assert (await web.get("/ledger.csv?found=lost")).status_code == 422


async def test_the_csv_has_every_attempt_once_however_many_are_read_at_a_time(
    web: httpx.AsyncClient, planning: PlanningParts
) -> None:
    page = LedgerPage(PageContext(planning.pool, planning.policy, planning.clock), csv_rows=2)
    transport = httpx.ASGITransport(Starlette(routes=page.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://andon.example") as by_two:
        whole, parts = [(await client.get("/ledger.csv")).text for client in (web, by_two)]

    assert parts == whole
    assert whole.count("ticket,attempt,kind") == 1
    assert len(list(csv.DictReader(io.StringIO(whole.removeprefix("\ufeff"))))) == 3


async def test_an_empty_ledger_says_where_a_plan_begins(pool: Pool) -> None:
    transport = httpx.ASGITransport(page_app(PlanningParts(pool)))
    async with httpx.AsyncClient(transport=transport, base_url="http://andon.example") as client:
        page = (await client.get("/ledger")).text

    assert "No change has been planned yet. A plan begins on the page of a ticket." in page
    assert "<table" not in page


async def test_a_pipeline_that_the_policy_no_longer_has_stays_in_the_ledger(pool: Pool) -> None:
    parts = PlanningParts(pool)
    number = await parts.planned("proposal", measure="new/-/throughput", balancing="")
    without = PlanningParts(pool, POLICY.replace("  new:\n", "  other:\n"))
    transport = httpx.ASGITransport(page_app(without))
    async with httpx.AsyncClient(transport=transport, base_url="http://andon.example") as client:
        pages = [await client.get(address) for address in ("/ledger", f"/tickets/{number}", f"/tickets/{number}/plan")]

    assert [page.status_code for page in pages] == [200] * 3
    assert f"{NAMES[Column.THROUGHPUT]}, new" in pages[0].text


async def test_the_ledger_is_sent_again_only_where_it_changed(web: httpx.AsyncClient) -> None:
    first = await web.get("/ledger")

    again = await web.get("/ledger", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


async def test_the_api_pages_through_the_ledger(web: httpx.AsyncClient) -> None:
    whole = (await web.get("/api/v1/ledger")).json()
    assert (len(whole["attempts"]), whole["next_before"]) == (3, None)
    seen, address = [], "/api/v1/ledger?limit=1"
    while address:
        answer = await web.get(address)
        seen += answer.json()["attempts"]
        found = re.fullmatch(r'<(/api/v1/ledger\?limit=1&before=[\d-]+)>; rel="next"', answer.headers.get("link", ""))
        address = found[1] if found else ""

    assert seen == whole["attempts"]
    verified = (await web.get("/api/v1/ledger?found=verified&countermeasure=limit")).json()["attempts"]
    assert [(one["found"], one["study"]["result"], one["decision"]) for one in verified] == [
        ("verified", "hit", "adopted")
    ]
    for wrong in ("found=lost", "page=1", "before=1", "before=9-9", "limit=0", "limit=201"):
        answer = await web.get(f"/api/v1/ledger?{wrong}")
        assert (answer.status_code, wrong.partition("=")[0] in answer.json()["detail"]) == (422, True), wrong
