"""Plans by the API on a real Postgres: draft, seal, reschedule, start, withdraw, study, decide."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.tickets.api.actions import ACTIONS
from services.tickets.domain.planning import DECISIONS
from services.tickets.domain.seal import read_sealed
from services.tickets.present import LogClock
from shared.contracts.now import NowData, NowEvent
from shared.contracts.problems import CauseClass, ProblemReason
from shared.contracts.tickets import TicketChange, TicketOutcome
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.planning import CHANGE_DATE, DRAFT, MEASURE, PLANNED, PlanningParts
from tests.integration.tickets.records import records

CHANGED = datetime(2026, 3, 15, 23, tzinfo=UTC)

JSON = {"content-type": "application/json"}


@pytest.fixture
def parts(pool: Pool) -> PlanningParts:
    return PlanningParts(pool)


async def changes(parts: PlanningParts, number: int) -> list[str]:
    return [entry["change"] for entry in (await parts.get(number))["history"]]


async def test_a_plan_goes_from_draft_to_decision(parts: PlanningParts) -> None:
    number = await parts.open()
    assert (await parts.do(number, "draft", draft={}, draft_version=0))["state"] == "acknowledged"
    assert (await parts.draft(number))["draft_version"] == 2
    sealed = await parts.seal(number)
    assert (sealed["state"], sealed["cycle"]) == ("planned", 1)
    assert (await parts.do(number, "start"))["state"] == "doing"
    assert await parts.tick(CHANGED - timedelta(seconds=1)) == 0
    assert await parts.tick(CHANGED) == 1
    studied = await parts.get(number)
    assert (studied["state"], studied["history"][-1]["at"]) == ("verifying", "2026-03-15T23:00:00.000000Z")
    await parts.verdict(number, TicketOutcome.NOT_SHOWN, CHANGED + timedelta(weeks=13))
    decided = await parts.do(number, "decide", decision="adapted", reason="smaller batches")

    assert (decided["state"], decided["cycle"], decided["plan"]) == ("acknowledged", 2, None)
    assert await changes(parts, number) == [
        *("opened", "acknowledged", "planned", "started", "verifying", "verdict", "adapted")
    ]
    assert (await parts.get(number, "/plan"))["draft"]["aim"] == DRAFT["aim"]
    assert await parts.pool.fetchval("SELECT (decision, decided_because)::text FROM study") == (
        '(adapted,"smaller batches")'
    )


async def test_all_that_people_do_works_by_the_api(parts: PlanningParts) -> None:
    number = await parts.open()
    due = {"until": "2026-03-10T08:00:00Z"}
    ended = {"outcome": "wont-fix", "reason": "x", "confirmed": True}
    moved = {"change_date": "2026-03-24", "reason": "x"}
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("acknowledge", {}, "acknowledged"),
        ("snooze", due, "snoozed"),
        ("undo", {}, "acknowledged"),
        ("close", ended, "closed"),
        ("reopen", {"reason": "x"}, "acknowledged"),
        ("draft", {"draft": dict(DRAFT), "draft_version": 0}, "acknowledged"),
        ("seal", {"draft_version": 1}, "planned"),
        ("reschedule", moved, "planned"),
        ("start", {}, "doing"),
        ("undo", {}, "planned"),
        ("start", {}, "doing"),
        ("reschedule", moved | {"change_date": "2026-03-20"}, "doing"),
        ("withdraw", {"reason": "x"}, "acknowledged"),
        ("seal", {"draft_version": 1}, "planned"),
        ("close", ended, "closed"),
        ("undo", {}, "planned"),
    ]

    for action, fields, state in steps:
        assert (await parts.do(number, action, **fields))["state"] == state, action

    await parts.tick(CHANGED)
    await parts.verdict(number, TicketOutcome.NOT_SHOWN, CHANGED + timedelta(weeks=13))
    for decision in ("adopted", "dropped"):
        assert (await parts.do(number, "decide", decision=decision, reason="x"))["decision"] == decision
    # An issue can be linked where the settings name its host: see access/test_linked_issue.py.
    assert {action for action, _, _ in steps} | {"decide", "link"} == set(ACTIONS)
    whole = await parts.get(number)
    assert [entry["seq"] for entry in whole["history"]] == list(range(1, whole["seq"] + 1))
    assert [message.data.seq for message in await parts.messages()] == list(range(1, whole["seq"] + 1))


async def test_messages_and_the_api_say_what_is_planned_and_when_its_looks_are(parts: PlanningParts) -> None:
    number = await parts.planned()

    message = (await parts.messages())[-1].data
    facts = (await parts.get(number))["plan"]
    assert message.plan is not None
    assert facts == message.plan.model_dump(mode="json")
    assert (facts["measure"], facts["measure_words"]) == (MEASURE, "Deals in work at the end of the week, Proposal")
    assert facts["predicted"] == {"size": "4", "unit": "difference", "why": DRAFT["predicted_why"]}
    assert facts["looks"] == ["2026-04-13", "2026-05-11", "2026-06-15"]
    assert (message.change, message.state, message.study) == (TicketChange.PLANNED, "planned", None)


async def test_what_is_sealed_can_be_checked_by_anybody(parts: PlanningParts) -> None:
    number = await parts.planned()
    await parts.do(number, "reschedule", change_date="2026-03-23", reason="the tool comes later")
    seals = (await parts.get(number, "/plan"))["seals"]

    before = ""
    for seal in seals:
        assert seal["hash"] == hashlib.sha256(seal["content"].encode()).hexdigest()
        assert json.loads(seal["content"])["before"] == seal["before"] == before
        before = seal["hash"]
    assert [(seal["number"], seal["reason"]) for seal in seals] == [(1, None), (2, "the tool comes later")]
    first, second = (read_sealed(seal["content"]) for seal in seals)
    assert len(first.ground.measure.reference) == 20
    assert first.ground.measure.phi is not None
    assert second.plan.change_date.isoformat() == "2026-03-23"
    assert (await parts.get(number))["plan"]["hash"] == second.hash


async def test_a_draft_that_is_not_complete_is_kept_and_names_every_fault_when_it_is_sealed(
    parts: PlanningParts,
) -> None:
    number = await parts.open()
    wrong = {
        "aim": " ",
        "measure": "new/legal/wip_end",
        "countermeasure": "magic",
        "tasks": [{"what": "Agree", "who": "ann@sales.example", "by": "soon"}],
        "predicted_size": "1,5",
        "change_date": "2026-02-30",
        "balancing": MEASURE,
    }
    await parts.draft(number, **wrong)

    refused = await parts.seal(number, 422)

    assert (await parts.get(number, "/plan"))["draft"]["change_date"] == "2026-02-30"
    assert [fault["field"] for fault in refused["faults"]] == [
        *("aim", "measure", "countermeasure", "task_1_who", "task_1_by", "predicted_size", "change_date")
    ]
    named = ["aim", "new/legal/wip_end", "magic", "ann@sales.example", "soon", "1,5", "2026-02-30"]
    assert all(value in fault["detail"] for value, fault in zip(named[1:], refused["faults"][1:], strict=True))
    assert (await parts.get(number))["state"] == "acknowledged"
    assert await parts.pool.fetchval("SELECT count(*) FROM sealed_plan") == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"change_date": "2026-03-04"}, "change_date"),
        ({"change_date": "2027-03-06"}, "change_date"),
        ({"predicted_size": "0"}, "predicted_size"),
        ({"predicted_size": "100", "predicted_unit": "share"}, "predicted_size"),
        ({"predicted_unit": ""}, "predicted_unit"),
        ({"tasks": []}, "task_1_what"),
        ({"balancing": MEASURE}, "balancing"),
        ({"predicted_why": ""}, "predicted_why"),
    ],
)
async def test_what_cannot_be_in_a_plan_is_refused_by_its_field(
    parts: PlanningParts, fields: dict[str, Any], field: str
) -> None:
    number = await parts.open()
    await parts.draft(number, **fields)

    assert (await parts.seal(number, 422))["field"] == field


@pytest.mark.parametrize(
    ("measure", "size", "unit", "kept"),
    [
        ("new/proposal/time_in_stage_median_s", "1.5", "difference", "129600"),
        ("new/legal/time_in_stage_median_s", "1.5", "difference", "43200"),
        ("new/-/win_rate", "2.5", "difference", "1/40"),
        ("new/-/throughput", "150", "share", "3/2"),
        ("new/proposal/wip_end", "12.5", "share", "1/8"),
        ("new/proposal/wip_end", "", "", None),
    ],
)
async def test_a_size_is_read_in_the_unit_in_which_the_measure_is_shown(
    parts: PlanningParts, measure: str, size: str, unit: str, kept: str | None
) -> None:
    number = await parts.open("legal" if "legal" in measure else "proposal")
    await parts.draft(number, measure=measure, predicted_size=size, predicted_unit=unit, balancing="")

    sealed = await parts.seal(number, confirmed=True)

    assert sealed["plan"]["predicted"]["size"] == kept


async def test_a_measure_that_cannot_be_tested_is_sealed_only_where_a_person_insists(parts: PlanningParts) -> None:
    number = await parts.open(weeks=5)
    await parts.draft(number)

    asked = await parts.seal(number, 409)
    sealed = await parts.seal(number, confirmed=True)

    assert asked["confirm"] is True
    assert "too few weeks" in asked["detail"]
    content = (await parts.get(number, "/plan"))["seals"][0]["content"]
    assert read_sealed(content).ground.measure.untestable == "too-few-weeks-before"
    assert sealed["state"] == "planned"


async def test_a_special_cause_is_planned_without_weeks_since_it_may_be_restored(parts: PlanningParts) -> None:
    number = await parts.open(cause=CauseClass.SPECIAL)
    await parts.draft(number)

    assert (await parts.seal(number))["state"] == "planned"


async def test_a_seal_is_withdrawn_with_a_reason_and_not_undone(parts: PlanningParts) -> None:
    number = await parts.planned()

    assert "Nothing is left to undo" in (await parts.do(number, "undo", 409))["detail"]
    assert (await parts.do(number, "withdraw", 422, reason=" "))["field"] == "reason"
    withdrawn = await parts.do(number, "withdraw", reason="the team is ill")
    assert (withdrawn["state"], withdrawn["plan"]) == ("acknowledged", None)
    await parts.do(number, "undo", 409)
    await parts.seal(number)
    seals = (await parts.get(number, "/plan"))["seals"]

    assert [(seal["cycle"], seal["number"]) for seal in seals] == [(1, 1), (1, 2)]
    assert seals[1]["before"] == seals[0]["hash"]


async def test_once_the_change_date_has_come_a_plan_is_not_moved_nor_withdrawn(parts: PlanningParts) -> None:
    number = await parts.planned()
    parts.day_clock.at = CHANGED

    for action, fields in (
        ("withdraw", {"reason": "too late"}),
        ("reschedule", {"reason": "too late", "change_date": "2026-04-01"}),
        ("start", {}),
    ):
        assert CHANGE_DATE in (await parts.do(number, action, 409, **fields))["detail"]
    await parts.tick()
    for action, fields in (("withdraw", {"reason": "x"}), ("start", {}), ("snooze", {"until": "2026-04-01T08:00:00Z"})):
        assert "being verified" in (await parts.do(number, action, 409, **fields))["detail"]
    assert await parts.pool.fetchval("SELECT count(*) FROM sealed_plan") == 1


@pytest.mark.parametrize(("starts", "state"), [(False, "closed"), (True, "doing")])
async def test_a_problem_that_clears_ends_a_plan_but_no_change_that_is_under_way(
    parts: PlanningParts, starts: bool, state: str
) -> None:
    number = await parts.planned()
    if starts:
        await parts.do(number, "start")

    await parts.problem_ends("proposal", PLANNED)

    assert (await parts.get(number))["state"] == state
    assert await parts.tick(CHANGED) == starts
    await parts.problem_ends("proposal", PLANNED, ProblemReason.RETRACTED)
    assert (await parts.get(number))["outcome"] == ("retracted" if starts else "cleared-without-change")
    assert await parts.pool.fetchval("SELECT count(*) FROM study WHERE ended_at IS NOT NULL") == starts


async def test_a_closing_ends_the_study_and_an_undone_one_goes_on_with_it(parts: PlanningParts) -> None:
    number = await parts.planned()
    await parts.tick(CHANGED)

    asked = await parts.do(number, "close", 409, outcome="abandoned", reason="x")
    await parts.do(number, "close", outcome="abandoned", reason="x", confirmed=True)
    ended = await parts.pool.fetchval("SELECT ended_at FROM study")
    back = await parts.do(number, "undo")

    assert "ends without a verdict" in asked["detail"]
    assert ended == parts.day_clock.at
    assert (back["state"], back["plan"]["change_date"]) == ("verifying", CHANGE_DATE)
    assert await parts.pool.fetchval("SELECT ended_at FROM study") is None
    refused = await parts.do(number, "close", 422, outcome="cleared-without-change", reason="x", confirmed=True)
    assert refused["field"] == "outcome"


@pytest.mark.parametrize("decision", DECISIONS)
async def test_a_decision_needs_a_verdict(parts: PlanningParts, decision: TicketChange) -> None:
    number = await parts.planned()

    refused = await parts.do(number, "decide", 409, decision=decision.value, reason="x")

    assert "no verdict" in refused["detail"]


async def test_a_problem_of_a_source_has_no_measure_to_plan_by(parts: PlanningParts) -> None:
    number = await parts.open()
    await parts.pool.execute('UPDATE ticket SET problem = problem || \'{"pipeline": "", "stage": null}\'')
    await parts.draft(number)

    assert "No weekly measure" in (await parts.seal(number, 422))["detail"]


async def test_a_ticket_lives_in_the_time_of_the_log_where_that_counts(parts: PlanningParts) -> None:
    number = await parts.planned()
    clock = LogClock(SystemClock())
    parts.changes._clock = clock

    for judged, begun in ((CHANGED - timedelta(minutes=1), 0), (CHANGED, 1)):
        now = NowData(pipeline="new", stage="proposal", as_of=judged, wip=3, oldest_entered_at=None, rules=())
        message = NowEvent(id=str(judged), source="andon/detector", subject="new/proposal", time=judged, data=now)
        await parts.handle(*records([message]))
        assert await parts.tick() == begun
        assert clock.now() == judged
    assert (await parts.get(number))["state"] == "verifying"


async def test_text_that_cannot_be_stored_as_it_is_becomes_text_that_can(parts: PlanningParts) -> None:
    number = await parts.open()
    draft = r'{"draft": {"aim": "a\u0000b\ud800c\r\nd \ud83d\ude00"}, "draft_version": 0}'

    assert (await parts.api.post(f"/tickets/{number}/draft", content=draft, headers=JSON)).status_code == 200
    assert (await parts.get(number, "/plan"))["draft"]["aim"] == "ab\ufffdc\nd \U0001f600"
    close = r'{"version": 2, "outcome": "wont-fix", "reason": "\udfff no", "confirmed": true}'
    assert (await parts.api.post(f"/tickets/{number}/close", content=close, headers=JSON)).status_code == 200
    assert (await parts.get(number))["closed_because"] == "\ufffd no"


async def test_what_the_api_is_asked_wrongly_is_answered_by_field(parts: PlanningParts) -> None:
    number = await parts.open()

    assert "version" in (await parts.do(number, "acknowledge", 422, version="x"))["detail"]
    assert "draft.aims" in (await parts.do(number, "draft", 422, draft={"aims": "x"}, draft_version=0))["detail"]
    long = await parts.do(number, "draft", 422, draft={"aim": "x" * 2001}, draft_version=0)
    assert "2,001 letters" in long["detail"]
    for wrong in (0, "1774224000", "2026-02-30", "23.03.2026"):
        asked = await parts.do(number, "reschedule", 422, change_date=wrong, reason="x")
        assert f"change_date: '{wrong}': is no day" in asked["detail"]
    half = r'{"draft": {"\ud800": 1}, "draft_version": 0}'
    named = await parts.api.post(f"/tickets/{number}/draft", content=half, headers=JSON)
    assert (named.status_code, "draft" in named.json()["detail"]) == (422, True)
    assert (await parts.api.post("/tickets/99/start", json={"version": 1})).status_code == 404
    assert (await parts.api.get(f"/tickets/{number}/start")).headers["allow"] == "POST"
    other = {"sec-fetch-site": "cross-site"}
    answer = await parts.api.post(f"/tickets/{number}/acknowledge", json={"version": 1}, headers=other)
    assert answer.status_code == 403
