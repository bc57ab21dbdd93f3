"""The page of a chart of weeks, and its form for a new baseline."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx
import pytest

from services.tickets.web.chart_links import chart_address
from shared.contracts.measures import Column, MeasureEvent
from shared.contracts.problems import ProblemReason
from shared.contracts.relocks import RelockData, RelockEvent
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import charts_of
from shared.wording.quantities import week, week_begin
from tests.integration.tickets.records import TicketParts, record, records
from tests.integration.tickets.test_now import words
from tests.support.problems import event, policy, problem
from tests.support.week_messages import NEW_CLOSED, WEEKS, quiet, week_events

ADDRESS = chart_address(NEW_CLOSED)


async def show(parts: TicketParts, values: list[int], chart: Chart = NEW_CLOSED) -> None:
    await parts.handle(*records(week_events(chart, values)))


def form_of(page: httpx.Response, **fields: str) -> dict[str, str]:
    seen = re.search(r'name="seen" value="(\w+)"', page.text)
    assert seen is not None
    return {"from_week": WEEKS.name(30), "points": "12", "reason": "The team has doubled.", "seen": seen[1]} | fields


async def test_weeks_within_the_limits_are_no_news(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))

    page = words(await web.get(ADDRESS))

    assert f"It moves within what is usual: in {week(WEEKS.name(39))}, the last, it was" in page
    assert "Andon reports none of them" in page
    assert "No rule of the policy watches this chart" in page
    assert f"the week of {week_begin(WEEKS.name(1))} to now" in page
    assert "The first 20 weeks of the chart" in page
    assert "closings in the next 4 weeks (85 % sure), valid while the process stays as it was" in page


@pytest.mark.parametrize(
    ("weeks", "sentence"),
    [
        (0, "No week has been measured yet"),
        (1, "No week has been measured yet"),
        (2, "Too few weeks to tell: 1 of 24."),
        (24, "Too few weeks to tell: 23 of 24."),
    ],
)
async def test_young_charts_say_what_is_missing(
    web: httpx.AsyncClient, parts: TicketParts, weeks: int, sentence: str
) -> None:
    await show(parts, quiet(weeks))

    page = await web.get(ADDRESS)

    assert (page.status_code, sentence in words(page)) == (200, True)


async def test_every_chart_has_a_page_that_the_others_link(web: httpx.AsyncClient, parts: TicketParts) -> None:
    links = (await web.get("/pipelines")).text + "".join(
        [(await web.get(f"/stage?pipeline=new&stage={stage}")).text for stage in ("demo", "proposal", "legal")]
    )
    for chart in charts_of(policy()):
        await show(parts, [*quiet(30), *[40] * 8], chart)
        page = await web.get(chart_address(chart))

        assert page.status_code == 200, chart.name
        assert "<figure" in page.text, chart.name
        assert f'href="{chart_address(chart)}"' in links, chart.name


@pytest.mark.parametrize(
    "name", ["new/-/arrivals", "new/demo/throughput", "new/nowhere/arrivals", "x", "new/-/", "%00"]
)
async def test_what_is_no_chart_has_no_page(web: httpx.AsyncClient, name: str) -> None:
    for answer in (await web.get(f"/charts/{name}"), await web.post(f"/charts/{name}")):
        assert (answer.status_code, "There is no such chart" in answer.text) == (404, True)


async def test_a_new_baseline_is_asked_for_kept_and_published(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))
    form = form_of(await web.get(ADDRESS))

    asked = await web.post(ADDRESS, data=form)

    assert asked.status_code == 409
    assert f"The first 12 weeks from the week of {week_begin(WEEKS.name(30))} on become the baseline" in words(asked)
    assert "10 of them are there already" in words(asked)
    assert await parts.pool.fetchval("SELECT count(*) FROM relock") == 0
    done = await web.post(ADDRESS, data=form | {"confirmed": "yes"})
    assert (done.status_code, done.headers["location"]) == (303, ADDRESS)
    page = words(await web.get(ADDRESS))
    assert f"the week of {week_begin(WEEKS.name(1))} to that of {week_begin(WEEKS.name(29))}" in page
    assert "10 of 12 weeks so far" in page
    assert "A person: “The team has doubled.”" in page
    row = await parts.pool.fetchrow("SELECT key, value FROM outbox WHERE topic = 'flow.relocks'")
    assert row is not None
    sent = RelockEvent.model_validate_json(row["value"])
    assert row["key"].decode() == sent.data.key == f"{NEW_CLOSED.name}@{WEEKS.name(30)}"
    assert (sent.data.points, sent.data.reason, sent.data.actor) == (12, "The team has doubled.", "person")


async def test_nobody_overrides_a_baseline_that_was_not_seen(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))
    old = form_of(await web.get(ADDRESS), confirmed="yes")
    await parts.handle(record(relocked(25), 100))

    asked = await web.post(ADDRESS, data=old)

    assert asked.status_code == 409
    assert "Somebody else has changed the baselines" in words(asked)
    assert "Andon: “It was verified.”" in words(asked)
    assert (await web.post(ADDRESS, data=form_of(asked, confirmed="yes"))).status_code == 303


async def test_a_lock_of_52_quiet_weeks_is_proposed_for_renewal(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(72))
    assert "is proposed" not in words(await web.get(ADDRESS))
    await show(parts, quiet(73))

    page = await web.get(ADDRESS)

    assert (
        "In the last 52 weeks nothing stood out against the baseline of the weeks of"
        f" {week_begin(WEEKS.name(1))} to {week_begin(WEEKS.name(20))}" in words(page)
    )
    assert f"A new one of the last 20 weeks, from the week of {week_begin(WEEKS.name(53))} on, is proposed" in words(
        page
    )
    assert f'<option selected value="{WEEKS.name(53)}">' in page.text
    assert ">Renewed after 52 quiet weeks.</textarea>" in page.text
    form = form_of(page, from_week=WEEKS.name(53), points="20", confirmed="yes")
    assert (await web.post(ADDRESS, data=form)).status_code == 303
    after = await web.get(ADDRESS)
    assert "is proposed" not in words(after)
    assert f"{week_begin(WEEKS.name(53))} to {week_begin(WEEKS.name(72))}" in words(after)


async def test_what_was_typed_stays_where_a_renewal_is_proposed(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(80))

    page = await web.post(ADDRESS, data=form_of(await web.get(ADDRESS), points="11", reason="Mine."))

    assert page.status_code == 422
    assert ">Mine.</textarea>" in page.text
    assert f'<option selected value="{WEEKS.name(30)}">' in page.text


def relocked(week: int) -> RelockEvent:
    data = RelockData(
        chart=NEW_CLOSED.name,
        from_week=WEEKS.name(week),
        points=13,
        reason="It was verified.",
        actor="system",
        at=datetime.now(UTC),
    )
    return RelockEvent.new(source="andon/tickets", subject=data.key, time=data.at, data=data)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"points": "11"}, "Write a number of weeks from 12 to 20"),
        ({"points": "²"}, "Write a number of weeks from 12 to 20"),
        ({"points": "12345678"}, "Write a number of weeks from 12 to 20"),
        ({"from_week": "2031-W01"}, "is no week of this chart"),
        ({"from_week": ""}, "is no week of this chart"),
        ({"reason": " \x00 "}, "Write why the baseline begins anew"),
        ({"reason": "x" * 1001}, "The reason has 1,001 letters"),
    ],
)
async def test_a_form_that_cannot_be_read_keeps_what_was_written(
    web: httpx.AsyncClient, parts: TicketParts, fields: dict[str, str], fault: str
) -> None:
    await show(parts, quiet(40))

    answer = await web.post(ADDRESS, data=form_of(await web.get(ADDRESS), confirmed="yes") | fields)

    assert (answer.status_code, fault in words(answer)) == (422, True)
    chosen = WEEKS.name(30)
    option = f'<option selected value="{chosen}">the week of {week_begin(chosen)}</option>'
    assert option in answer.text or "from_week" in fields
    assert await parts.pool.fetchval("SELECT count(*) FROM relock") == 0


async def test_no_other_site_begins_a_baseline(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))

    answer = await web.post(ADDRESS, data={}, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403


async def test_a_week_that_late_events_change_is_drawn_anew(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))
    await show(parts, [*quiet(39), 900])

    assert "it was 900 deals" in words(await web.get(ADDRESS))


async def test_weeks_that_are_numbered_anew_replace_the_old_ones(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(40))
    # The log turned out to begin three weeks later: week 0 is another one.
    events = [one.data for one in week_events(NEW_CLOSED, quiet(40))[3:]]
    later = [one.model_copy(update={"week": number, "numbering": 2}) for number, one in enumerate(events)]
    told = [MeasureEvent(id=f"n{p.key}", source="x", subject=p.key, time=p.end, data=p) for p in later]
    await parts.handle(*records(told))

    page = words(await web.get(ADDRESS))

    assert f"the week of {week_begin(WEEKS.name(4))} to now" in page
    assert f"in {week(WEEKS.name(39))}, the last, it was" in page


async def test_a_stage_shows_its_weeks(web: httpx.AsyncClient, parts: TicketParts) -> None:
    for column in (Column.TIME_IN_STAGE_MEDIAN, Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END):
        await show(parts, quiet(30), Chart("new", "proposal", column))

    page = words(await web.get("/stage?pipeline=new&stage=proposal"))

    assert "How long deals stayed in Proposal, by the week they left" in page
    assert "Deals that came into Proposal and left it, over 13 weeks" in page


async def test_nothing_is_promised_while_a_source_is_silent(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await show(parts, quiet(60))
    promised = words(await web.get(ADDRESS))
    silent = {"key": "silence/crm", "kind": "silence", "pipeline": "", "stage": None, "source": "crm"}
    await parts.handle(*records([event(problem(**silent, pipelines=["other"]))]))
    of_another = words(await web.get(ADDRESS))
    await parts.handle(
        *records([event(problem(**silent, pipelines=["new", "other"], reason=ProblemReason.GREW, count=9))])
    )

    page = words(await web.get(ADDRESS))

    assert "closings in the next 13 weeks (85 % sure)" in promised
    assert "closings in the next 13 weeks (85 % sure)" in of_another
    assert "Not stable enough to forecast: a source is silent." in page
    assert "such promises were kept" in page
