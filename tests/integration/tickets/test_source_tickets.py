"""Tickets of silent sources: they have no pipeline and no stage, and are on every page all the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx

from shared.contracts.problems import CauseClass, ProblemReason
from tests.integration.tickets.records import TicketParts, records
from tests.integration.tickets.test_now import words
from tests.support.problems import day, event, problem

HEARD = datetime.fromisoformat("2026-03-01T15:31:41.262Z")
FACTS: dict[str, Any] = {
    "kind": "silence",
    "pipeline": "",
    "stage": None,
    "pipelines": ("new",),
    "rule": "silence/1",
    "count": 12,
    "peak": 12,
    "threshold": 0,
    "limit": None,
    "limit_seconds": None,
    "usual": None,
    "cause_class": CauseClass.UNKNOWN,
    "chance": 0.1,
    "evidence": None,
    "heard_at": HEARD,
    "detected_at": day(0),
}
TITLE = "No event from crm-eu"
SENTENCE = (
    "No event from crm-eu since 1 March 16:31; 12 were to be expected by now. Quiet is not improvement: verdicts wait."
    " Chance alone does this about once in 10 quarters."
)


async def told(parts: TicketParts, source: str = "crm-eu", **fields: Any) -> None:
    """A message about a silent source."""
    data = problem(**FACTS | {"key": f"silence/{source}", "source": source} | fields)
    await parts.handle(*records([event(data)]))


async def test_a_ticket_says_which_source_since_when_how_sure_and_what_to_do(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    await told(parts, "crm-us")
    await told(parts)
    await told(parts, reason=ProblemReason.GREW, count=18, peak=18)

    page = words(await web.get("/tickets/3"))

    assert "Ticket 3 · Source crm-eu ·" in page
    assert SENTENCE.replace("12 were", "18 were") in page
    assert "12 events were to be expected." in page
    assert "Ask whoever looks after this source to check that it is still connected to Andon" in page
    assert "What to do: Ask whoever" in page
    assert "No deal is behind this problem: no event came." in page
    assert "Found by the rule “silent sources”" in page
    assert "Earlier tickets" not in page, "those of another source are of no use here"
    for chart in ("chart.svg", "chart.png", "ages.svg"):
        assert (await web.get(f"/tickets/3/{chart}")).status_code == 404
    assert (await web.get("/tickets/3/deals.csv")).status_code == 200


async def test_it_is_on_every_page_and_in_the_api(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await told(parts)

    for path in ("/", "/pipelines", "/tickets?kind=silence"):
        assert TITLE in words(await web.get(path)), path
    assert TITLE not in words(await web.get("/tickets?pipeline=new"))
    (listed,) = (await web.get("/api/v1/tickets?kind=silence")).json()["tickets"]
    assert (listed["key"], listed["pipeline"], listed["stage"]) == ("silence/crm-eu", "", None)
    assert (listed["source"], listed["chance"], listed["sentence"]) == ("crm-eu", 0.1, SENTENCE)
    whole = (await web.get(f"/api/v1/tickets/{listed['id']}")).json()
    assert whole["asks_for"].startswith("Ask whoever looks after this source to check that it is still connected")


async def test_it_closes_when_the_source_is_heard_again_and_opens_again(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    await told(parts)
    await told(parts, reason=ProblemReason.CLEARED, cleared=1, peak=68)
    page = words(await web.get("/tickets/2"))
    await told(parts, opened=3, heard_at=day(2))

    assert "It was noticed" in page
    assert "The silence was noticed" in page
    assert "It began" not in page
    assert "No event from crm-eu since 1 March 16:31; 68 were to be expected until then. Chance alone" in page
    assert "No event from crm-eu since 4 March 10:00; 12 were to be expected by now." in words(
        await web.get("/tickets/2")
    )
    messages = [one.data for one in await parts.messages() if one.data.source]
    assert [(one.change, one.pipeline_name, one.pipelines) for one in messages] == [
        ("opened", "crm-eu", ("new",)),
        ("cleared", "crm-eu", ("new",)),
        ("closed", "crm-eu", ("new",)),
        ("reopened", "crm-eu", ("new",)),
    ]
    assert all(one.chart_png is None for one in messages)
