"""Tickets of problems on weekly measures: of a stage, and of a whole pipeline."""

from __future__ import annotations

import re

import httpx
import pytest

from shared.contracts.measures import Column
from shared.contracts.problems import BottleneckDetail, BottleneckLabel
from shared.flow.statistics.columns import Chart
from shared.runtime.instants import moment
from tests.integration.tickets.records import TicketParts, record, records
from tests.integration.tickets.test_now import words
from tests.support.page_charts import drawings
from tests.support.problems import event, problem
from tests.support.week_messages import NEW_CLOSED, WEEKS, quiet, week_events, week_problem

FLOW = [Chart("new", "demo", one) for one in (Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END)]
PUSHED = Chart("new", "", Column.PUSHED_SHARE)
SENTENCE = (
    "Of 100 pairs of a baseline week and one of the last 4 weeks, in 98 the recent week was worse. By chance this chart"
    " says so about once in 8 quarters."
)


async def told(parts: TicketParts, kind: str, chart: Chart) -> None:
    """The weeks of a chart, and the problem that its last four opened."""
    events = week_events(chart, [*quiet(30), 20, 21, 22, 20])
    opened = event(week_problem(kind, chart, range(30, 34)))
    await parts.handle(*records([*events, opened]))


@pytest.mark.parametrize(
    ("kind", "chart", "title"),
    [
        ("shift", NEW_CLOSED, "Fewer deals are won or lost in New business"),
        ("slipping", PUSHED, "More close dates are put off in New business"),
        ("shift", Chart("new", "demo", Column.ARRIVALS), "Fewer deals come into Demo"),
        ("rework", Chart("new", "demo", Column.REWORK_RATE), "More deals come back to Demo"),
    ],
)
async def test_a_ticket_shows_the_weeks_side_by_side(
    web: httpx.AsyncClient, parts: TicketParts, kind: str, chart: Chart, title: str
) -> None:
    await told(parts, kind, chart)

    page = await web.get("/tickets/2")

    assert title in words(page)
    assert SENTENCE in words(page)
    assert "Something happened around the week of 28 July: find it before you change anything." in words(page)
    assert "At its clearest, the recent week was worse in 98 of 100 pairs; 86 are enough" in words(page)
    assert "Found at the end of the week of 18 August." in words(page)
    assert "It began" not in words(page)
    assert "The problem was found" in words(page)
    (drawn,) = await drawings(web, page)
    assert "20 weeks of the baseline" in drawn
    assert f'href="/charts/{chart.name}"' in page.text
    assert (await web.get("/tickets/2/ages.svg")).status_code == 404
    assert title[:20] in (await web.get("/tickets/2/chart.svg")).text
    assert (await web.get("/tickets/2/chart.png")).content.startswith(b"\x89PNG")


async def test_a_ticket_of_a_whole_pipeline_is_on_every_page(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await told(parts, "shift", NEW_CLOSED)
    title = "Fewer deals are won or lost in New business"

    for path in ("/", "/pipelines", "/tickets?pipeline=new&kind=shift"):
        assert title in words(await web.get(path)), path
    listed = (await web.get("/api/v1/tickets?kind=shift")).json()["tickets"]
    assert [(one["title"], one["stage"], one["key"]) for one in listed] == [(title, None, "shift/new//throughput")]
    whole = (await web.get("/api/v1/tickets/2")).json()
    assert whole["asks_for"].startswith("Something happened around the week of 28 July")
    assert (await web.get("/tickets/2/deals.csv")).status_code == 200
    closed = await web.post("/tickets/2/acknowledge", data={"version": "1"})
    assert closed.status_code == 303


async def test_its_message_is_whole_and_brings_the_weeks(parts: TicketParts) -> None:
    await told(parts, "shift", NEW_CLOSED)

    (message,) = await parts.messages()

    assert (message.data.stage, message.data.title) == (None, "Fewer deals are won or lost in New business")
    assert message.data.sentence == SENTENCE
    assert message.data.chart_alt == message.data.title
    assert message.data.chart_png is not None


async def test_a_problem_whose_weeks_are_not_known_has_a_page(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(event(week_problem("shift", NEW_CLOSED, range(30, 34))), 100))
    await parts.handle(record(event(week_problem("shift", NEW_CLOSED._replace(pipeline="gone"), range(30, 34))), 101))

    for number in (2, 3):
        page = await web.get(f"/tickets/{number}")
        assert (page.status_code, SENTENCE in words(page), page.text.count("<figure")) == (200, True, 0)
        assert (await web.get(f"/tickets/{number}/chart.png")).status_code == 404


async def bottleneck(parts: TicketParts, weeks: int) -> None:
    """A stage into which two deals more come a week than leave it, and the bottleneck that opened at week 40."""
    values = [[22] * weeks, [20] * weeks, [10 + 2 * week for week in range(weeks)]]
    events = [one for chart, some in zip(FLOW, values, strict=True) for one in week_events(chart, some)]
    detail = BottleneckDetail(label=BottleneckLabel.DEMAND, net=26, wip=90, usual_wip=30.0)
    begun = moment(WEEKS.end(40))
    fields = {"key": "bottleneck/new/demo", "kind": "bottleneck", "stage": "demo", "opened_at": begun}
    fields |= {"detected_at": begun, "count": 90, "peak": 90, "bottleneck": detail, "evidence": None}
    await parts.handle(*records([*events, event(problem(**fields))]))


async def test_a_bottleneck_shows_what_came_in_and_what_left(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await bottleneck(parts, 45)

    page = await web.get("/tickets/2")

    assert "26 more deals came into Demo than left it in 13 weeks" in words(page)
    drawn = "".join(await drawings(web, page))
    for name in ("came in", "left", "deals in work", "problem"):
        assert name in drawn
    # From a quarter before the opening to the last week: 13 + 4.
    assert len(re.findall(r'<tr><th scope="row">[^<]*2025</th>', page.text)) == 17
    assert (await web.get("/tickets/2/chart.png")).content.startswith(b"\x89PNG")


async def test_a_bottleneck_of_a_young_log_has_no_flow_yet(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await bottleneck(parts, 30)

    assert (await web.get("/tickets/2")).status_code == 200
    assert (await web.get("/tickets/2/chart.svg")).status_code == 404
