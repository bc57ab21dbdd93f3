"""The improvement meeting: every ticket that needs a decision, once, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.renewals import BaselineRenewals
from services.tickets.web.meeting_page import MeetingPage
from services.tickets.web.page_context import PageContext
from services.tickets.web.pages import TicketPages
from shared.contracts.relocks import RelockData, RelockEvent
from shared.policy import parse
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.records import TicketParts, nothing, records
from tests.integration.tickets.test_now import words
from tests.support.problems import POLICY, event, problem
from tests.support.sealed_plans import seal, verdict
from tests.support.week_messages import NEW_CLOSED, WEEKS, quiet, week_events, week_problem

NOW = datetime.now(UTC)
MEETING = "/meeting"


async def opened(parts: TicketParts, key: str = "aging/new/demo", days: float = 5, **fields: Any) -> int:
    """A ticket whose problem began some days ago; its number."""
    begun = NOW - timedelta(days=days)
    kind, pipeline, stage = key.split("/")
    data = problem(key=key, kind=kind, pipeline=pipeline, stage=stage, opened_at=begun, detected_at=begun, **fields)
    await parts.handle(*records([event(data)]))
    return int(await parts.pool.fetchval("SELECT max(id) FROM ticket"))


async def send(web: httpx.AsyncClient, number: int, action: str, **form: str) -> httpx.Response:
    version = str((await web.get(f"/api/v1/tickets/{number}")).json()["seq"])
    return await web.post(f"/tickets/{number}/{action}", data={"version": version, "confirmed": "yes"} | form)


def parts_of(page: httpx.Response) -> list[str]:
    """The headings of the parts."""
    return [line.split(">")[1].split("<")[0] for line in page.text.splitlines() if line.startswith("<h2 id=")]


async def test_a_new_ticket_is_to_be_seen_and_can_be_acknowledged_from_here(web: httpx.AsyncClient) -> None:
    page = await web.get(MEETING)

    shown = words(page)
    assert parts_of(page) == ["Not yet seen (1)"]
    assert "1 decision waits, the longest for 3 days." in shown
    assert "Deals wait too long in Proposal New business · waits for 3" in shown.replace("\u00a0", " ")
    assert "Does this need a change, can it wait, or is it left as it is?" in shown
    assert page.text.count("<svg") == 1

    answer = await send(web, 1, "acknowledge", meeting="")

    assert (answer.status_code, answer.headers["location"]) == (303, MEETING)
    assert parts_of(await web.get(MEETING)) == ["Seen, without a plan (1)"]


async def test_from_the_meeting_of_a_pipeline_a_form_leads_back_to_it(web: httpx.AsyncClient) -> None:
    assert '<input type="hidden" name="meeting" value="new">' in (await web.get(f"{MEETING}?pipeline=new")).text

    answer = await send(web, 1, "acknowledge", meeting="new")

    assert answer.headers["location"] == f"{MEETING}?pipeline=new"


async def test_who_waits_longest_comes_first_and_snoozed_ones_wait(web: httpx.AsyncClient, parts: TicketParts) -> None:
    oldest, newest = await opened(parts, days=41), await opened(parts, "aging/new/legal", 1)
    page = await web.get(MEETING)

    numbers = [page.text.index(f'id="ticket-{number}-title"') for number in (oldest, 1, newest)]
    assert numbers == sorted(numbers)
    assert "3 decisions wait, the longest for 41 days." in words(page).replace("\u00a0", " ")

    await send(web, newest, "snooze", until=(NOW + timedelta(days=9)).date().isoformat())

    assert parts_of(await web.get(MEETING)) == ["Not yet seen (2)"]


async def test_waiting_begins_anew_with_each_state(web: httpx.AsyncClient) -> None:
    await send(web, 1, "acknowledge")

    assert "waits for less than a minute" in words(await web.get(MEETING)).replace("\u00a0", " ")


async def test_nothing_to_decide_is_said(web: httpx.AsyncClient) -> None:
    await send(web, 1, "close", outcome="abandoned", reason="No time.")

    page = await web.get(MEETING)

    assert (parts_of(page), "Nothing waits for a decision." in words(page)) == ([], True)
    assert "See how the pipelines stand" in page.text


async def test_of_many_tickets_the_page_shows_those_that_wait_longest(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    number = await opened(parts, days=2)
    await pool.execute(
        "INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem)"
        " SELECT key || n, kind, pipeline, state, seq, opened_at, changed_at, problem FROM ticket,"
        " generate_series(1, 30) AS n WHERE id = $1",
        number,
    )
    await pool.execute(
        "INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor)"
        " SELECT id, 1, 'opened', NULL, 'open', opened_at, 'system' FROM ticket WHERE id > $1",
        number,
    )

    page = await web.get(MEETING)

    assert parts_of(page) == ["Not yet seen (32)"]
    assert page.text.count('<article class="item"') == 10
    assert "22 more have waited less long." in words(page)


@pytest.mark.parametrize(("path", "status"), [("?pipeline=none", 404), ("?pipeline=new", 200), ("?pipeline=", 200)])
async def test_a_meeting_can_be_of_one_pipeline(web: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await web.get(MEETING + path)).status_code == status


async def test_a_ticket_of_weeks_draws_its_measure(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await send(web, 1, "close", outcome="abandoned", reason="No time.")
    weeks = week_events(NEW_CLOSED, quiet(100))
    await parts.handle(*records([*weeks, event(week_problem("shift", NEW_CLOSED, range(40, 44)))]))

    page = await web.get(MEETING)

    assert parts_of(page) == ["Not yet seen (1)"]
    assert page.text.count("<polyline") == 1


@pytest.mark.parametrize(
    ("state", "days", "part", "says", "action"),
    [
        ("planned", 4, "Changes that are due", "Does the work on it begin, or does the date move?", "/tickets/1/start"),
        ("doing", 4, "Changes that are due", "Is everything ready, or does the date move?", "/tickets/1#do"),
        ("verifying", None, "Studies that will be looked at", "Was the change carried out as planned?", "/tickets/1"),
    ],
)
async def test_a_plan_whose_day_comes_is_on_the_list(
    web: httpx.AsyncClient, pool: Pool, state: str, days: int | None, part: str, says: str, action: str
) -> None:
    today = NOW.date()
    # The thirteenth week after the change is over on the next Monday.
    day = today + timedelta(days=7 - today.weekday() - 91 if days is None else days)
    await seal(pool, 1, day, state, NOW)

    page = await web.get(MEETING)

    assert parts_of(page) == [f"{part} (1)"]
    assert says in words(page)
    assert "Planned: Legal reads a proposal on the day it comes." in words(page)
    assert f'{"action" if "start" in action else "href"}="{action}"' in page.text
    assert "· waits for" not in words(page)


async def test_a_plan_whose_day_is_far_off_asks_for_nothing(web: httpx.AsyncClient, pool: Pool) -> None:
    await seal(pool, 1, NOW.date() + timedelta(days=40), "planned", NOW)

    assert parts_of(await web.get(MEETING)) == []


@pytest.mark.parametrize("outcome", ["verified", "not-shown", "restored"])
async def test_a_verdict_waits_for_a_decision(web: httpx.AsyncClient, pool: Pool, outcome: str) -> None:
    await seal(pool, 1, NOW.date() - timedelta(days=100), "closed", NOW, outcome)
    sentence, effect = "Of 100 pairs, in 91 the later was better.", "4 days better."
    await verdict(pool, 1, outcome, NOW, sentence=sentence, effect_sentence=effect)

    page = await web.get(MEETING)

    assert parts_of(page) == ["Verdicts without a decision (1)"]
    assert "Of 100 pairs, in 91 the later was better." in words(page).replace("\u00a0", " ")
    assert "4 days better." in words(page).replace("\u00a0", " ")
    assert "Adopt the change, adapt it, or drop it?" in words(page)
    assert 'name="decision" value="adopted"' in page.text
    assert 'href="/tickets/1#decide"' in page.text

    await pool.execute("UPDATE ticket SET decision = 'dropped' WHERE id = 1")

    assert parts_of(await web.get(MEETING)) == []


async def test_a_lost_gain_has_a_part_of_its_own(web: httpx.AsyncClient, pool: Pool) -> None:
    await seal(pool, 1, NOW.date() - timedelta(days=200), "closed", NOW, "verified")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "INSERT INTO study (ticket, cycle, plan, started_at, verdict, verdict_at, hold)"
            " VALUES (1, 1, 1, now(), 'verified', now(), 'decayed')"
        )
        await connection.execute(
            "UPDATE ticket SET state = 'open', outcome = NULL, closed_at = NULL, plan = NULL, change_date = NULL,"
            " cycle = 2, seq = 3 WHERE id = 1"
        )
        await connection.execute(
            "INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor)"
            " VALUES (1, 3, 'reopened', 'closed', 'open', now() - interval '2 days 1 minute', 'system')"
        )

    page = await web.get(MEETING)

    assert parts_of(page) == ["Gains that were lost (1)"]
    assert "waits for 2 days" in words(page).replace("\u00a0", " ")


async def test_what_is_left_as_it_is_comes_back_for_review_while_it_lasts(
    web: httpx.AsyncClient, pool: Pool, parts: TicketParts
) -> None:
    await send(web, 1, "close", outcome="wont-fix", reason="It is so.")
    assert parts_of(await web.get(MEETING)) == []

    await pool.execute("UPDATE ticket SET closed_at = now() - interval '95 days'")

    assert parts_of(await web.get(MEETING)) == ["Left as it is, for review (1)"]

    over = problem(cleared=0, opened=-3)
    await pool.execute("UPDATE ticket SET problem = $1", over.model_dump(mode="json"))

    assert parts_of(await web.get(MEETING)) == []


@pytest.fixture
async def renewing(pool: Pool, parts: TicketParts) -> AsyncIterator[tuple[httpx.AsyncClient, BaselineRenewals]]:
    """The meeting of a company that watches its closings, and its renewals."""
    watching = parse(POLICY + "      - {kind: shift, measure: throughput}\n")
    renewals = BaselineRenewals(pool, watching)
    context = PageContext(pool, watching, SystemClock())
    meeting, pages = MeetingPage(context, renewals.due), TicketPages(context, parts.writer, nothing)
    app = Starlette(routes=[*meeting.routes(), *pages.routes()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as client:
        yield client, renewals


async def test_old_baselines_are_one_thing_of_their_pipeline(
    renewing: tuple[httpx.AsyncClient, BaselineRenewals], parts: TicketParts
) -> None:
    web, renewals = renewing
    # A baseline of 20 weeks and 51 quiet ones after it. Week 0 is no point.
    await parts.handle(*records(week_events(NEW_CLOSED, quiet(72))))
    await renewals.refresh()
    assert parts_of(await web.get(MEETING)) == []

    await parts.handle(*records(week_events(NEW_CLOSED, quiet(73))))
    await renewals.refresh()

    page = await web.get(MEETING)
    assert parts_of(page) == ["Old baselines (1)"]
    assert "1 chart has a baseline of more than a year ago" in words(page)
    assert 'href="/charts/new/-/throughput"' in page.text
    assert "1 decision waits." in words(page).replace("\u00a0", " ")


async def test_a_new_baseline_is_known_at_once(
    renewing: tuple[httpx.AsyncClient, BaselineRenewals], parts: TicketParts
) -> None:
    web, renewals = renewing
    await parts.handle(*records(week_events(NEW_CLOSED, quiet(80))))
    await renewals.refresh()
    assert parts_of(await web.get(MEETING)) == ["Old baselines (1)"]

    renewed = RelockData(
        chart=NEW_CLOSED.name, from_week=WEEKS.name(60), points=20, reason="Old.", actor="person", at=NOW
    )
    message = RelockEvent.new(id="r", source="x", subject=renewed.key, time=NOW, data=renewed)
    await parts.handle(*records([message]))
    await renewals.refresh()

    assert parts_of(await web.get(MEETING)) == []
