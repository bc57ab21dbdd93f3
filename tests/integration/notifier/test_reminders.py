"""What falls due by time: escalations, plans, looks and weekly reports, once however many replicas look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.notifier.domain.readers import MailPace
from services.notifier.domain.report import CordReport, ReportData
from shared.contracts.now import NowData, NowEvent
from shared.contracts.tickets import Actor, PlanFacts, StudyFacts, TicketChange, TicketEvent, TicketOutcome, TicketState
from shared.policy import parse
from shared.postgres.pool import open_pool
from tests.support.notice_rig import NoticeRig
from tests.support.plan_facts import plan_facts
from tests.support.problems import POLICY, ticket_event

OWNER = "owner: {name: Head of new business, mail: head@sales.example"
RULES = parse(
    POLICY.replace(
        OWNER + "}",
        OWNER
        + """, quiet: {from: "18:00", to: "08:00"}}
    ack_within: 4h
    recipients:
      - {name: Chief, mail: chief@sales.example, role: escalation, notices: [escalated]}""",
    ).replace("rules:", "rules:\n      - {kind: shift}")
)
# A Wednesday.
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOKS = (date(2026, 4, 8), date(2026, 5, 6))


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[NoticeRig]:
    pool = await open_pool(dsn, "notices")
    yield await NoticeRig(pool, RULES, NOON).begin()
    await pool.close()


def plan(**fields: Any) -> PlanFacts:
    """A plan with a task on 12 March, whose change is on 16 March."""
    tasks = [{"what": "Tell all teams", "who": "sales operations", "by": date(2026, 3, 12)}]
    return plan_facts(**({"change_date": date(2026, 3, 16), "looks": LOOKS, "tasks": tasks} | fields))


def step(change: TicketChange, seq: int, state: TicketState, **fields: Any) -> TicketEvent:
    return ticket_event(change, seq=seq, state=state, at=NOON + seq * timedelta(seconds=1), **fields)


def judged(at: datetime) -> NowEvent:
    data = NowData(pipeline="new", stage="proposal", as_of=at, wip=0, rules=())
    return NowEvent.new(source="andon/detector", subject="new/proposal", time=at, data=data)


async def about(rig: NoticeRig, state: str = "waiting") -> list[tuple[str, str]]:
    return [(what, to) for what, to, found in await rig.mails() if found == state]


async def test_a_ticket_that_nobody_acknowledges_is_escalated_once(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())
    await rig.at(NOON + 4 * HOUR - timedelta(seconds=1))
    assert await about(rig) == [("opened", "head")]

    await rig.at(NOON + 4 * HOUR)
    await rig.at(NOON + 99 * HOUR)
    await rig.handle(step(TicketChange.GREW, 2, TicketState.OPEN))
    await rig.at(NOON + 199 * HOUR)

    assert [one for one in await about(rig) if one[0] == "escalated"] == [("escalated", "chief")]


@pytest.mark.parametrize("change", [TicketChange.ACKNOWLEDGED, TicketChange.SNOOZED, TicketChange.CLOSED])
async def test_a_ticket_that_somebody_took_is_not_escalated(rig: NoticeRig, change: TicketChange) -> None:
    states = {TicketChange.SNOOZED: TicketState.SNOOZED, TicketChange.CLOSED: TicketState.CLOSED}
    await rig.handle(ticket_event())
    await rig.handle(step(change, 2, states.get(change, TicketState.ACKNOWLEDGED), actor=Actor.PERSON))
    await rig.at(NOON + 99 * HOUR)

    assert "escalated" not in dict(await about(rig))


async def test_an_escalation_that_waits_is_dropped_when_somebody_takes_the_ticket(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())
    await rig.at(NOON + 4 * HOUR)
    await rig.handle(step(TicketChange.ACKNOWLEDGED, 2, TicketState.ACKNOWLEDGED, actor=Actor.PERSON))

    assert await about(rig, "dropped") == [("single", "chief")]


async def test_a_ticket_that_wakes_or_comes_back_may_be_escalated_again(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())
    await rig.at(NOON + 4 * HOUR)
    await rig.send()
    await rig.handle(step(TicketChange.SNOOZED, 2, TicketState.SNOOZED, actor=Actor.PERSON))
    await rig.handle(step(TicketChange.WOKE, 3, TicketState.OPEN))
    await rig.at(NOON + 99 * HOUR)

    assert await about(rig) == [("escalated", "chief")]


async def test_a_cord_that_is_pulled_again_puts_no_escalation_off(rig: NoticeRig) -> None:
    cord = {"key": "cord/new/proposal", "kind": "cord"}
    await rig.handle(ticket_event(**cord))
    rig.clock.at = NOON + 3 * HOUR
    await rig.handle(step(TicketChange.PULLED, 2, TicketState.OPEN, **cord))
    await rig.at(NOON + 4 * HOUR)

    assert ("escalated", "chief") in await about(rig)


async def test_the_time_to_acknowledge_begins_when_the_owner_can_know(rig: NoticeRig) -> None:
    """Opened at 20:00 in Berlin; the owner's quiet hours end at 8:00."""
    rig.clock.at = datetime(2026, 3, 4, 19, tzinfo=UTC)
    await rig.handle(ticket_event())
    await rig.at(datetime(2026, 3, 5, 10, 59, tzinfo=UTC))
    assert await about(rig) == [("opened", "head")]

    await rig.at(datetime(2026, 3, 5, 11, 0, tzinfo=UTC))
    assert await about(rig) == [("opened", "head"), ("escalated", "chief")]


async def test_an_escalation_goes_to_the_owner_where_the_named_one_takes_no_mails(rig: NoticeRig) -> None:
    await rig.preferences.choose("chief@sales.example", None, MailPace.OFF, None)
    await rig.handle(ticket_event())
    await rig.send()
    await rig.at(NOON + 5 * HOUR)

    assert await about(rig) == [("escalated", "head")]


async def test_a_plan_reminds_of_its_days_one_mail_a_day(rig: NoticeRig) -> None:
    """The Mondays are those of the weekly report."""
    await rig.handle(step(TicketChange.PLANNED, 5, TicketState.PLANNED, plan=plan(), actor=Actor.PERSON))
    written = []
    for days in range(20):
        await rig.at(NOON + timedelta(days=days))
        written += [f"{rig.clock.at:%m-%d}" for _ in await about(rig)]
        await rig.send()

    assert written == ["03-09", "03-10", "03-13", "03-14", "03-16", "03-17", "03-23"]


async def test_a_plan_does_not_remind_of_days_before_it_was_sealed(rig: NoticeRig) -> None:
    tasks = [{"what": "Tell all", "who": "operations", "by": date(2026, 3, 5)}]
    late = plan(tasks=tasks, change_date=date(2026, 3, 6))
    await rig.handle(step(TicketChange.PLANNED, 5, TicketState.PLANNED, plan=late, actor=Actor.PERSON))
    await rig.at(NOON + timedelta(hours=1))
    assert await about(rig) == []

    await rig.at(NOON + timedelta(days=2))
    assert await about(rig) == [("plan-due", "head")]


async def test_a_reminder_that_waits_is_dropped_when_the_plan_changes(rig: NoticeRig) -> None:
    await rig.handle(step(TicketChange.PLANNED, 5, TicketState.PLANNED, plan=plan(), actor=Actor.PERSON))
    await rig.at(datetime(2026, 3, 10, 12, tzinfo=UTC))
    assert ("plan-due", "head") in await about(rig)
    later = plan(change_date=date(2026, 4, 20), hash="b" * 64, tasks=[])
    await rig.handle(step(TicketChange.RESCHEDULED, 6, TicketState.PLANNED, plan=later, actor=Actor.PERSON))

    assert "plan-due" not in dict(await about(rig))


async def test_a_look_is_announced_on_the_monday_of_its_week(rig: NoticeRig) -> None:
    await rig.handle(step(TicketChange.VERIFYING, 6, TicketState.VERIFYING, plan=plan()))
    written = []
    for days in range(70):
        await rig.at(NOON + timedelta(days=days))
        written += [f"{rig.clock.at:%m-%d} {what}" for what, _ in await about(rig) if what == "look-due"]
        await rig.send()

    assert written == ["04-06 look-due", "05-04 look-due"]


async def test_reminders_follow_the_log_where_the_clock_is_the_logs(rig: NoticeRig) -> None:
    rig.reminders._follows_log = True
    await rig.handle(step(TicketChange.VERIFYING, 6, TicketState.VERIFYING, plan=plan()))
    await rig.handle(judged(datetime(2026, 4, 5, 12, tzinfo=UTC)))
    await rig.at(NOON + timedelta(days=1))
    assert await about(rig) == []

    await rig.handle(judged(datetime(2026, 4, 6, 12, tzinfo=UTC)))
    await rig.at(NOON + timedelta(days=1))
    assert await about(rig) == [("look-due", "head")]
    changes = await rig.pool.fetchval("SELECT changes FROM notice WHERE reason = 'look-due'")
    assert [change["at"][:10] for change in changes] == ["2026-04-06"]


async def test_two_replicas_write_each_reminder_and_report_once(rig: NoticeRig) -> None:
    other = NoticeRig(rig.pool, RULES, NOON)
    planned = [
        step(TicketChange.PLANNED, 5, TicketState.PLANNED, ticket=number, plan=plan()) for number in range(1, 13)
    ]
    await rig.handle(*planned, *(ticket_event(ticket=number) for number in range(13, 25)))
    await rig.send()
    at = datetime(2026, 3, 10, 12, tzinfo=UTC)

    await asyncio.gather(rig.at(at), other.at(at), rig.at(at), other.at(at))

    found = await about(rig)
    assert sorted(found) == sorted([("plan-due", "head")] * 12 + [("escalated", "chief")] * 12 + [("report", "head")])


async def report_of(rig: NoticeRig) -> ReportData:
    row = await rig.pool.fetchrow("SELECT report FROM mail WHERE kind = 'report' ORDER BY id DESC LIMIT 1")
    assert row is not None
    return ReportData.model_validate(row["report"])


MONDAY = datetime(2026, 3, 9, 7, tzinfo=UTC)


async def test_the_weekly_report_lists_what_to_chase(rig: NoticeRig) -> None:
    study = StudyFacts(verdict="verified", week=8, sentence="It got better.")
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.VERIFIED, "plan": plan(), "study": study}
    shift = {"key": "shift/new/-/throughput", "kind": "shift", "stage": None, "chance": 0.2}
    await rig.handle(
        ticket_event(at=NOON),
        ticket_event(ticket=2, at=NOON - timedelta(days=9), opened_at=NOON - timedelta(days=9), **shift),
        ticket_event(TicketChange.VERDICT, ticket=3, seq=4, at=NOON, **closed),
        ticket_event(
            TicketChange.VERIFYING,
            ticket=4,
            seq=4,
            at=NOON,
            state=TicketState.VERIFYING,
            plan=plan(looks=(date(2026, 3, 11),)),
        ),
    )
    await rig.at(MONDAY)

    (pipeline,) = (await report_of(rig)).pipelines
    assert [one.ticket for one in pipeline.waiting] == [2, 1, 4]
    assert [one.sentence for one in pipeline.verdicts] == ["It got better."]
    assert [(one.ticket, one.on) for one in pipeline.looks] == [(4, date(2026, 3, 11))]
    assert pipeline.budget is not None
    assert (pipeline.budget.opened, pipeline.budget.allowed) == (1, "1")
    assert len((await report_of(rig)).charts) == 3


@pytest.mark.parametrize(
    ("change", "state", "reported"),
    [
        (TicketChange.ADAPTED, TicketState.ACKNOWLEDGED, ["It got better."]),
        (TicketChange.VERIFYING, TicketState.VERIFYING, []),
    ],
)
async def test_a_verdict_stays_in_the_report_unless_it_was_taken_back(
    rig: NoticeRig, change: TicketChange, state: TicketState, reported: list[str]
) -> None:
    study = StudyFacts(verdict="verified", week=8, sentence="It got better.")
    closed = {"outcome": TicketOutcome.VERIFIED, "plan": plan(), "study": study}
    await rig.handle(
        step(TicketChange.VERDICT, 4, TicketState.CLOSED, **closed), step(change, 5, state, study=StudyFacts())
    )
    await rig.at(MONDAY)

    (pipeline,) = (await report_of(rig)).pipelines
    assert [one.sentence for one in pipeline.verdicts] == reported


async def cords_of(rig: NoticeRig) -> CordReport | None:
    (pipeline,) = (await report_of(rig)).pipelines
    return pipeline.cords


async def test_the_weekly_report_says_how_long_pulled_cords_waited(rig: NoticeRig) -> None:
    """Two are answered after 2 and 3 hours, one after 30; one is pulled while somebody is at work; one waits."""

    def pull(change: TicketChange, seq: int, ticket: int, hours: float, **fields: Any) -> TicketEvent:
        at = NOON + hours * HOUR
        given = {"key": f"cord/new/{ticket}", "kind": "cord", "problem": {"opened_at": at, "peak": 1}}
        return ticket_event(change, ticket, seq, **(given | {"at": at, "opened_at": NOON} | fields))

    taken = {"actor": Actor.PERSON, "state": TicketState.ACKNOWLEDGED}
    snoozed = {"actor": Actor.PERSON, "state": TicketState.SNOOZED, "snoozed_until": NOON + 99 * HOUR}
    events = [
        pull(TicketChange.OPENED, 1, 1, 0),
        pull(TicketChange.PULLED, 2, 1, 1),
        pull(TicketChange.ACKNOWLEDGED, 3, 1, 3, **taken),
        pull(TicketChange.PULLED, 4, 1, 4, state=TicketState.ACKNOWLEDGED),
        pull(TicketChange.OPENED, 1, 2, 5),
        pull(TicketChange.SNOOZED, 2, 2, 35, **snoozed),
        pull(TicketChange.PULLED, 3, 2, 40, state=TicketState.SNOOZED),
        pull(TicketChange.WOKE, 4, 2, 40),
    ]
    await rig.handle(*events, *events)
    await rig.at(MONDAY)

    assert await cords_of(rig) == CordReport(
        answered=3,
        median=3 * 3600.0,
        longest=30 * 3600.0,
        waiting=1,
        waiting_longest=(MONDAY - NOON - 40 * HOUR).total_seconds(),
    )
    await rig.at(MONDAY + timedelta(days=7))
    assert (await cords_of(rig)) == CordReport(
        answered=0, waiting=1, waiting_longest=(MONDAY + timedelta(days=7) - NOON - 40 * HOUR).total_seconds()
    )


async def test_a_pull_whose_ticket_closed_waits_for_nobody(rig: NoticeRig) -> None:
    cord = {"key": "cord/new/proposal", "kind": "cord"}
    await rig.handle(ticket_event(**cord))
    await rig.handle(step(TicketChange.CLOSED, 2, TicketState.CLOSED, outcome=TicketOutcome.RETRACTED, **cord))
    await rig.at(MONDAY)

    assert await cords_of(rig) is None


async def test_a_cord_whose_gain_is_lost_is_not_one_that_was_pulled(rig: NoticeRig) -> None:
    cord = {"key": "cord/new/proposal", "kind": "cord"}
    await rig.handle(step(TicketChange.REOPENED, 9, TicketState.OPEN, **cord))
    await rig.at(MONDAY)

    assert await about(rig) == [("reopened", "head"), ("escalated", "chief"), ("report", "head")]
    assert await cords_of(rig) is None


async def test_a_report_says_so_where_there_is_nothing_to_chase(rig: NoticeRig) -> None:
    await rig.at(MONDAY)

    assert (await report_of(rig)).is_quiet
    assert await rig.mails() == [("report", "head", "waiting")]


async def test_reports_come_each_week_and_late_where_nobody_could_write_them(rig: NoticeRig) -> None:
    """A pause of two weeks; the report of the last Monday is written on Wednesday."""
    due = []
    for at in (MONDAY - HOUR, MONDAY, MONDAY + HOUR, MONDAY + timedelta(days=16), MONDAY + timedelta(days=21)):
        await rig.at(at)
        due.append(len(await rig.mails()))

    assert due == [0, 1, 1, 2, 3]
    ends = [row["report"]["end"] for row in await rig.pool.fetch("SELECT report FROM mail ORDER BY id")]
    assert [end[:10] for end in ends] == ["2026-03-09", "2026-03-23", "2026-03-30"]


async def test_a_report_follows_the_wall_clock_over_daylight_saving(rig: NoticeRig) -> None:
    await rig.at(datetime(2026, 3, 30, 5, 59, tzinfo=UTC))
    before = len(await rig.mails())
    await rig.at(datetime(2026, 3, 30, 6, 0, tzinfo=UTC))

    assert len(await rig.mails()) == before + 1


async def test_a_reader_without_mails_gets_no_report(rig: NoticeRig) -> None:
    await rig.at(MONDAY)
    await rig.preferences.choose("head@sales.example", None, MailPace.OFF, None)
    await rig.at(MONDAY + timedelta(days=7))

    assert await rig.mails() == [("report", "head", "dropped")]
