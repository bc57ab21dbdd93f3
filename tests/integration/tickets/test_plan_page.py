"""The form of a plan: one question after the other, drafts, mistakes, two people at once, and the seal."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from services.tickets.store import plans
from shared.contracts.problems import ProblemReason
from shared.postgres.pool import Pool
from tests.integration.tickets.plan_forms import (
    WAITING,
    change_date,
    common_problem,
    draft,
    faults,
    hidden,
    opened,
    seal,
    state,
    weeks_of_waiting,
    whole_plan,
)
from tests.integration.tickets.records import TicketParts, records
from tests.support.page_charts import drawings
from tests.support.problems import event


@pytest.fixture(autouse=True)
async def ticket(web: httpx.AsyncClient, parts: TicketParts) -> None:
    """Ticket 2: of a stable stage."""
    await parts.handle(*records([event(common_problem())]))


async def test_a_new_plan_begins_with_its_first_question(web: httpx.AsyncClient) -> None:
    answer = await web.get("/tickets/2/plan")
    page = answer.text

    assert opened(page) == ["aim"]
    assert "Choose a measure: here you then see its weeks" in page
    assert len(await drawings(web, answer)) == 1, "what the problem is about"
    assert "Seal the plan" not in page
    assert await hidden(web) == {"version": "1", "draft_version": "0"}
    assert await state(web) == "open", "looking changes nothing"


async def test_each_answer_is_saved_and_leads_to_the_next_question(web: httpx.AsyncClient, pool: Pool) -> None:
    sent = await draft(web, {"aim": "Proposals wait <less>."}, "measure")

    assert (sent.status_code, sent.headers["location"]) == (303, "/tickets/2/plan?step=measure#step-measure")
    assert (await plans.draft(pool, 2)).draft.aim == "Proposals wait <less>."
    assert await state(web) == "acknowledged"
    page = (await web.get(sent.headers["location"])).text
    assert opened(page) == ["measure"]
    assert "Proposals wait &lt;less&gt;." in page
    assert "Go on with the plan" in (await web.get("/tickets/2")).text


async def test_a_missing_answer_is_asked_for_and_all_else_is_saved(web: httpx.AsyncClient, pool: Pool) -> None:
    typed = {"aim": "Wait less", "task_1_what": "Make a roster", "task_1_by": "2026-02-31"}

    asked = await draft(web, typed, "when")

    assert asked.status_code == 422
    assert opened(asked.text) == ["tasks"]
    assert set(faults(asked.text)) == {"task_1_who", "task_1_by"}
    assert "'2026-02-31' is no day" in faults(asked.text)["task_1_by"]
    assert 'href="#task_1_who"' in asked.text
    assert 'value="2026-02-31"' in asked.text
    assert (await plans.draft(pool, 2)).draft.tasks[0].what == "Make a roster"


async def test_a_text_that_is_too_long_is_kept_on_the_page_and_named(web: httpx.AsyncClient, pool: Pool) -> None:
    asked = await draft(web, {"aim": "x" * 2001}, "measure")

    assert (asked.status_code, faults(asked.text)) == (
        422,
        {"aim": "aim has 2,001 letters; write it with 2,000 at most."},
    )
    assert "x" * 2001 in asked.text
    assert (await plans.draft(pool, 2)).version == 0


async def test_more_tasks_are_asked_for_without_leaving_the_question(web: httpx.AsyncClient) -> None:
    sent = await web.post("/tickets/2/draft", data=await hidden(web) | {"stay": "tasks", "task_2_what": "Tell them"})

    page = (await web.get(sent.headers["location"])).text
    assert (sent.status_code, opened(page)) == (303, ["tasks"])
    assert 'id="task_3_what"' in page


async def test_the_measure_says_what_it_can_show_before_anything_is_sealed(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    await weeks_of_waiting(parts)
    sent = await draft(web, whole_plan())

    assert (sent.status_code, sent.headers["location"]) == (303, "/tickets/2/plan?step=seal#step-seal")
    answer = await web.get(sent.headers["location"])
    page = answer.text
    shown = html.unescape(re.sub(r"<[^>]*>", "", page)).replace("\u00a0", " ")
    assert len(await drawings(web, answer)) == 1, "the chart of the measure"
    for said in ("The smallest change that 13 weeks can show", "at most 25 of 1,000 cases", "The system looks on"):
        assert said in shown, said
    assert "Nothing in the plan can be changed any more" in shown
    assert "Seal the plan and its prediction" in shown
    assert opened(page) == []


async def test_what_is_incomplete_is_not_sealed_and_every_fault_is_named(web: httpx.AsyncClient, pool: Pool) -> None:
    asked = await seal(web, {"aim": "Wait less", "predicted_size": "many"})

    assert asked.status_code == 422
    assert set(faults(asked.text)) >= {"measure", "change", "countermeasure", "task_1_what", "change_date"}
    assert set(opened(asked.text)) >= {"measure", "change", "tasks", "when", "prediction"}
    assert await plans.seals(pool, 2) == []


async def test_a_sealed_plan_shows_prediction_weeks_and_hash(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    await weeks_of_waiting(parts)

    sent = await seal(web, whole_plan())

    assert (sent.status_code, sent.headers["location"], await state(web)) == (303, "/tickets/2/plan", "planned")
    (sealed,) = await plans.seals(pool, 2)
    page, ticket = [(await web.get(path)).text.replace("\u00a0", " ") for path in ("/tickets/2/plan", "/tickets/2")]
    assert sealed.hash in page
    assert "30 % shorter" in page
    assert "Compared with 20 weeks, from that of" in page
    assert "Proposals wait &lt;less&gt;." in page
    assert "<form" not in page
    assert "The change is planned for" in ticket
    assert sealed.hash[:12] in ticket
    listed = (await web.get("/")).text
    assert "planned: change on" in listed


async def test_what_was_typed_after_the_check_is_checked_first(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    await weeks_of_waiting(parts)
    await draft(web, whole_plan())

    sent = await web.post("/tickets/2/seal", data=await hidden(web) | whole_plan(predicted_size="35"))

    assert (sent.status_code, sent.headers["location"]) == (303, "/tickets/2/plan?step=seal#step-seal")
    assert await plans.seals(pool, 2) == []
    assert (await plans.draft(pool, 2)).draft.predicted_size == "35"


async def test_a_plan_that_cannot_be_tested_is_asked_about(web: httpx.AsyncClient, pool: Pool) -> None:
    asked = await seal(web, whole_plan())

    assert asked.status_code == 409
    assert "too few weeks to compare with" in asked.text
    assert "Seal it all the same" in asked.text
    assert 'name="confirmed" value="yes"' in asked.text
    assert await plans.seals(pool, 2) == []
    sent = await web.post("/tickets/2/seal", data=await hidden(web) | whole_plan() | {"confirmed": "yes"})
    assert (sent.status_code, await state(web)) == (303, "planned")


async def test_of_two_people_one_saves_and_the_other_sees_both_answers(web: httpx.AsyncClient, pool: Pool) -> None:
    old = await hidden(web)
    await draft(web, {"aim": "Their <aim>", "change": "Same"}, "measure")

    refused = await web.post("/tickets/2/draft", data=old | {"go": "measure", "aim": "My aim", "change": "Same"})

    assert refused.status_code == 409
    assert "Nothing was saved" in refused.text
    assert "Their &lt;aim&gt;" in refused.text
    assert "My aim</textarea>" in refused.text
    assert opened(refused.text) == ["aim"]
    assert (await plans.draft(pool, 2)).draft.aim == "Their <aim>"
    again = dict(re.findall(r'type="hidden" name="(version|draft_version)" value="(\d+)"', refused.text))
    sent = await web.post("/tickets/2/draft", data=again | {"go": "measure", "aim": "My aim", "change": "Same"})
    assert (sent.status_code, (await plans.draft(pool, 2)).draft.aim) == (303, "My aim")


async def test_a_ticket_that_changed_since_the_check_is_shown_before_it_is_sealed(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    await weeks_of_waiting(parts)
    await draft(web, whole_plan())
    old = await hidden(web)
    await parts.handle(*records([event(common_problem(ProblemReason.GREW, peak=40))]))

    refused = await web.post("/tickets/2/seal", data=old | whole_plan())

    assert (refused.status_code, await plans.seals(pool, 2)) == (409, [])
    assert (await web.post("/tickets/2/seal", data=await hidden(web) | whole_plan())).status_code == 303


async def test_what_is_typed_for_a_sealed_plan_is_refused_and_kept(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await weeks_of_waiting(parts)
    old = await hidden(web)
    await seal(web, whole_plan())

    refused = await web.post("/tickets/2/draft", data=old | whole_plan(aim="Another aim"))

    assert refused.status_code == 409
    assert "The plan is sealed" in refused.text
    assert "Another aim</textarea>" in refused.text


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/tickets/99/plan", {}, 404),
        ("POST", "/tickets/99/draft", {}, 404),
        ("POST", "/tickets/99/seal", {}, 404),
        ("POST", "/tickets/2/draft", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", "/tickets/2/seal", {"origin": "https://evil.example"}, 403),
        ("GET", "/tickets/2/draft", {}, 303),
        ("GET", "/tickets/2/seal", {}, 303),
        ("GET", "/tickets/2/plan?step=%00<script>", {}, 200),
    ],
)
async def test_addresses_of_plans(
    web: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await web.request(method, path, headers=headers)

    assert answer.status_code == status
    assert await state(web) == "open"


async def test_the_date_is_moved_with_a_reason_and_both_seals_are_kept(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    await weeks_of_waiting(parts)
    await seal(web, whole_plan())
    version = (await web.get("/api/v1/tickets/2")).json()["seq"]

    asked = await web.post("/tickets/2/reschedule", data={"version": version, "change_date": change_date(20)})
    moved = await web.post(
        "/tickets/2/reschedule",
        data={"version": version, "change_date": change_date(20), "reason": "The <room> is taken"},
    )

    assert (asked.status_code, set(faults(asked.text.replace("reschedule-", "")))) == (422, {"reason"})
    assert f'value="{change_date(20)}"' in asked.text
    assert moved.status_code == 303
    page, ticket = (await web.get("/tickets/2/plan")).text, (await web.get("/tickets/2")).text
    assert "All seals of this ticket" in page
    assert "The &lt;room&gt; is taken" in page
    assert "The change date was moved by somebody on this page: <bdi>The &lt;room&gt; is taken" in ticket
    assert await state(web) == "planned"


async def test_a_plan_is_started_and_withdrawn(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await weeks_of_waiting(parts)
    await seal(web, whole_plan())

    async def act(action: str, **form: str) -> httpx.Response:
        version = (await web.get("/api/v1/tickets/2")).json()["seq"]
        return await web.post(f"/tickets/2/{action}", data={"version": str(version)} | form)

    assert (await act("start")).status_code == 303
    assert "being changed" in (await web.get("/tickets/2")).text
    assert (await act("withdraw", reason=" ")).status_code == 422
    assert (await act("withdraw", reason="No room")).status_code == 303

    ticket = (await web.get("/tickets/2")).text
    assert "The plan was withdrawn by somebody on this page: <bdi>No room" in ticket
    assert "Go on with the plan" in ticket
    assert "What is being tried" not in ticket


async def test_a_measure_of_another_stage_is_no_choice(web: httpx.AsyncClient) -> None:
    asked = await draft(web, {"measure": WAITING.name.replace("proposal", "nowhere")}, "change")

    assert (asked.status_code, "is no measure of this ticket" in faults(asked.text)["measure"]) == (422, True)
