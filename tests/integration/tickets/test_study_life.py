"""What a study does to its ticket and its chart: late events, replicas, crashes, gains that are held or lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from services.tickets.domain import planning
from services.tickets.store import tickets
from services.tickets.study.record import StudyKey
from shared.contracts.relocks import RelockEvent
from shared.contracts.tickets import TicketChange, TicketEvent, TicketOutcome, TicketState
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.verification import Verdict
from shared.postgres.pool import Pool
from shared.runtime.instants import moment
from tests.integration.tickets.studied import (
    LEAD,
    LOWER,
    OTHER_LOWER,
    RELOCKS,
    StudyCase,
    StudyParts,
    judged,
    planned,
    point,
    relock,
    silences,
)
from tests.support.problems import event, problem
from tests.support.week_messages import WEEKS

DAY = timedelta(days=1)


@pytest.fixture
def studied(pool: Pool) -> StudyParts:
    return StudyParts(pool)


def usual(weeks: int, middle: int = 20) -> list[int]:
    return [middle + (week * 7) % 5 - 2 for week in range(weeks)]


def case_of(after: list[int | None], before: int = 30, **question: Any) -> StudyCase:
    return StudyCase.of({"better": "lower", "before": usual(before), "after": after} | question)


async def messages(studied: StudyParts) -> list[TicketEvent]:
    return list(await studied.messages())


async def test_a_verdict_comes_with_history_message_and_baseline(studied: StudyParts) -> None:
    case = case_of([9] * 4, prediction={"size": 3, "as": "difference"})
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after))

    assert await studied.loop.run_once() == 1

    ticket, study = await studied.ticket(), await studied.study()
    assert (ticket.state, ticket.outcome) == (TicketState.CLOSED, TicketOutcome.VERIFIED)
    assert ticket.closed_at == study.verdict_at == case.end_of(4)
    assert (await studied.history())[-3:] == ["planned", "verifying", "verdict"]
    told = (await messages(studied))[-1].data
    assert told.change is TicketChange.VERDICT
    assert told.study is not None
    sentence = (
        "Of 100 pairs of a week before and a week after, in 100 the later was better; by chance fewer than 4 in 1,000."
    )
    assert (told.study.verdict, told.study.week, told.study.sentence) == ("verified", 4, sentence)
    assert ticket.closed_because == sentence
    (row,) = await studied.pool.fetch("SELECT key, value FROM outbox WHERE topic = $1", RELOCKS)
    sent = RelockEvent.model_validate_json(row["value"]).data
    assert (sent.chart, sent.from_week, sent.points, sent.actor) == (LOWER.name, WEEKS.name(case.first), 13, "system")


async def test_the_effect_and_the_prediction_come_when_the_window_is_over(studied: StudyParts) -> None:
    case = case_of([9] * 13, prediction={"size": 11, "as": "difference"})
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:12]))
    await studied.loop.run_once()
    assert (await studied.study()).findings.effect_sentence is None  # type: ignore[union-attr]

    await studied.play(*case.points(case.weeks_after[12:]))
    assert await studied.loop.run_once() == 1

    change = (await tickets.history(studied.pool, 1))[-1]
    assert (change["change"], change["at"]) == ("updated", case.end_of(13))
    assert change["reason"] == (
        "11 deals better, probably between 10 deals and 12 deals (90 %). The prediction of 11 deals held."
    )
    findings = (await studied.study()).findings
    assert findings is not None
    assert findings.effect_sentence == "11 deals better, probably between 10 deals and 12 deals (90 %)."
    assert (findings.result, findings.result_sentence) == ("hit", "The prediction of 11 deals held.")


async def test_twenty_weeks_after_a_verified_change_the_baseline_has_them_all(studied: StudyParts) -> None:
    case = case_of([9] * 20)
    await planned(studied, case)
    for weeks, points in ((case.weeks_after[:19], [13]), (case.weeks_after[19:], [13, 20])):
        await studied.play(*case.points(weeks))
        await studied.loop.run_once()

        rows = await studied.pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", RELOCKS)
        assert [RelockEvent.model_validate_json(row["value"]).data.points for row in rows] == points


async def test_a_baseline_that_a_person_chose_stays(studied: StudyParts) -> None:
    case = case_of([9] * 4)
    await planned(studied, case)
    await studied.play(relock(LOWER, case.first), *case.points(case.weeks_after))
    await studied.loop.run_once()

    assert (await studied.ticket()).outcome is TicketOutcome.VERIFIED
    assert await studied.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", RELOCKS) == 0


@pytest.mark.parametrize(("delay", "counts"), [(7 * DAY, True), (7 * DAY + timedelta(microseconds=1), False)])
async def test_late_events_take_a_verdict_back_within_the_lateness_of_its_look(
    studied: StudyParts, delay: timedelta, counts: bool
) -> None:
    case = case_of([9] * 5)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:4]))
    await studied.loop.run_once()

    await studied.play(point(LOWER, case.first + 1, 40, known_at=case.end_of(4) + delay))
    await studied.play(point(LOWER, case.first + 2, 40, known_at=case.end_of(4) + delay))
    assert await studied.loop.run_once() == counts

    study, ticket = await studied.study(), await studied.ticket()
    assert study.findings is not None
    assert (ticket.state is TicketState.VERIFYING, study.findings.is_late) == (counts, counts)
    assert study.conclusion.verdict is (None if counts else Verdict.VERIFIED)
    if counts:
        change = (await tickets.history(studied.pool, 1))[-1]
        assert (change["change"], change["reason"]) == ("verifying", "Late events changed the verdict.")
        assert study.findings.notes == ("Late events changed the verdict.",)


async def test_late_events_of_a_detector_that_does_not_say_when_count_by_the_weeks_that_came(
    studied: StudyParts,
) -> None:
    case = case_of([9] * 6)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:4]))
    await studied.loop.run_once()
    # Two weeks later is beyond the seven days.
    await studied.play(*case.points(case.weeks_after[4:]), judged(case.end_of(6)))
    await studied.play(*[point(LOWER, week, 40) for week in case.weeks_after[:3]])
    await studied.loop.run_once()

    assert (await studied.ticket()).outcome is TicketOutcome.VERIFIED
    answer = (await studied.study()).findings.answer  # type: ignore[union-attr]
    assert [look["week"] for look in answer["looks"]] == [4]


async def test_a_decision_keeps_the_verdict_that_it_is_about(studied: StudyParts) -> None:
    case = case_of([9] * 4)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after))
    await studied.loop.run_once()
    await decide(studied, TicketChange.ADOPTED)

    await studied.play(*[point(LOWER, week, 40, known_at=case.end_of(4) + DAY) for week in case.weeks_after[:3]])
    await studied.loop.run_once()

    assert (await studied.ticket()).outcome is TicketOutcome.VERIFIED
    assert (await studied.study()).conclusion.verdict is Verdict.VERIFIED


async def decide(studied: StudyParts, decision: TicketChange) -> None:
    ticket = await studied.ticket()
    async with studied.pool.acquire() as connection, connection.transaction():
        await studied.changes.act(
            connection,
            1,
            lambda one, now: planning.decide(one, decision, "It pays.", now.now, now.is_newest),
            ticket.seq,
        )


@pytest.mark.parametrize(
    ("later", "hold", "state"),
    [
        ([9] * 13, Hold.HELD, TicketState.CLOSED),
        ([13] * 13, Hold.HELD, TicketState.CLOSED),
        (usual(13), Hold.DECAYED, TicketState.OPEN),
        ([9] * 4 + [None] * 9, None, TicketState.CLOSED),
    ],
)
async def test_a_gain_is_held_or_lost_and_a_lost_one_opens_the_ticket_again(
    studied: StudyParts, later: list[int | None], hold: Hold | None, state: TicketState
) -> None:
    case = case_of([*[9] * 13, *later])
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:13]))
    await studied.loop.run_once()
    await decide(studied, TicketChange.ADOPTED)

    await studied.play(*case.points(case.weeks_after[13:]))
    await studied.loop.run_once()

    ticket, study = await studied.ticket(), await studied.study()
    assert (study.hold, ticket.state) == (hold or Hold.UNKNOWN, state)
    ends = ["decayed", "reopened"] if hold is Hold.DECAYED else [hold.value] if hold else ["adopted"]
    assert (await studied.history())[-len(ends) :] == ends
    assert ticket.cycle == (2 if hold is Hold.DECAYED else 1)
    assert await studied.loop.run_once() == 0


async def test_a_lost_gain_of_a_dropped_change_opens_nothing(studied: StudyParts) -> None:
    case = case_of([*[9] * 13, *usual(13)])
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:13]))
    await studied.loop.run_once()
    await decide(studied, TicketChange.DROPPED)

    await studied.play(*case.points(case.weeks_after[13:]))
    await studied.loop.run_once()

    assert (await studied.ticket()).state is TicketState.CLOSED
    assert (await studied.history())[-1] == "decayed"


async def test_weeks_in_any_order_from_two_replicas_give_the_same(pool: Pool, studied: StudyParts) -> None:
    case = case_of([*usual(4, 18), *[9] * 22])
    await planned(studied, case)
    other, random = StudyParts(pool), Random(5)
    points = case.points(case.weeks_after)
    random.shuffle(points)
    for start in range(0, len(points), 4):
        await (studied if start % 8 else other).play(*points[start : start + 4])
        await asyncio.gather(studied.loop.run_once(), other.loop.run_once())

    study = await studied.study()
    assert (study.conclusion.verdict, study.conclusion.week, study.hold) == (Verdict.VERIFIED, 8, Hold.HELD)
    assert (await studied.history())[-3:] == ["verdict", "updated", "held"]
    seqs = [told.data.seq for told in await messages(studied)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", RELOCKS) in (1, 2)


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_look_all(studied: StudyParts) -> None:
    case = case_of([9] * 4)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after))
    before = await studied.history()

    async with studied.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await studied.student.look(connection, StudyKey(1, 1))
        await transaction.rollback()

    assert await studied.history() == before
    assert await studied.pool.fetchval("SELECT count(*) FROM relock") == 0
    assert await studied.loop.run_once() == 1
    assert await studied.history() == [*before, "verdict"]


async def test_a_study_that_fails_holds_up_no_other(studied: StudyParts) -> None:
    case = case_of([9] * 4)
    await planned(studied, case)
    opened = moment(WEEKS.start(20))
    await studied.play(event(problem(key="wip-high/new/demo", kind="wip-high", stage="demo", opened_at=opened)))
    await studied.seal(2, case.draft().model_copy(update={"change_date": (case.changes_at + DAY).date().isoformat()}))
    await studied.play(*case.points(case.weeks_after), judged(case.changes_at + 2 * DAY))
    await studied.begin()
    # A study of the first ticket cannot be read.
    await studied.pool.execute("""UPDATE study SET data = '{"weeks_over": "many"}' WHERE ticket = 1""")

    await studied.loop.run_once()

    assert [(await studied.ticket(number)).outcome for number in (1, 2)] == [None, TicketOutcome.VERIFIED]
    assert studied.metrics.studies_failed._value.get() == 1
    await studied.pool.execute("UPDATE study SET data = NULL")
    assert await studied.loop.run_once() == 1


async def test_a_silence_told_after_the_weeks_suspends_them(studied: StudyParts) -> None:
    case = case_of([9] * 4)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after))
    await studied.loop.run_once()

    await studied.play(*silences(case, [1, 3]))
    await studied.loop.run_once()

    assert (await studied.ticket()).state is TicketState.VERIFYING
    findings = (await studied.study()).findings
    assert findings is not None
    assert findings.looks[0].sentence == "After 4 weeks: skipped, as only 2 of them have a value."


async def test_weeks_numbered_anew_change_nothing(studied: StudyParts) -> None:
    case = case_of([9] * 8)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after[:4]))
    await studied.loop.run_once()
    answer = (await studied.study()).findings.answer  # type: ignore[union-attr]

    # The log begins three weeks earlier: later weeks come first, under their new numbers.
    again = case.points(range(case.first + 8), numbering=2)
    moved = [
        one.model_copy(update={"data": one.data.model_copy(update={"week": (one.data.week or 0) + 3})}) for one in again
    ]
    for start in range(len(moved), 0, -7):
        await studied.play(*moved[max(start - 7, 0) : start])
        await studied.loop.run_once()

    assert (await studied.ticket()).outcome is TicketOutcome.VERIFIED
    found = (await studied.study()).findings
    assert found is not None
    assert found.weeks_over == 8
    assert (found.answer["phi"], found.answer["looks"]) == (answer["phi"], answer["looks"])


async def test_it_is_told_where_the_customer_gained_nothing(studied: StudyParts) -> None:
    case = case_of([9] * 4, before=60)
    case.charts[LEAD] = usual(60), usual(4)
    await planned(studied, case)
    await studied.play(*case.points(case.weeks_after))
    await studied.loop.run_once()

    findings = (await studied.study()).findings
    assert findings is not None
    assert findings.moved
    assert findings.notes[0] == (
        "Moved, not improved: Demo got better, but deals do not go faster through New business as a whole."
    )


async def test_two_changes_of_one_stage_at_once_are_both_marked(studied: StudyParts) -> None:
    case, other = case_of([9] * 4), case_of([9] * 4)
    await planned(studied, case)
    another = problem(key="wip-high/new/demo", kind="wip-high", stage="demo", opened_at=moment(WEEKS.start(20)))
    elsewhere = problem(key="aging/new/legal", stage="legal", opened_at=moment(WEEKS.start(20)))
    await studied.play(event(another), event(elsewhere))
    later = (case.changes_at + 21 * DAY).date().isoformat()
    draft = other.draft().model_copy(update={"change_date": later})
    await studied.seal(2, draft.model_copy(update={"measure": OTHER_LOWER.name}))
    await studied.seal(3, draft.model_copy(update={"measure": "new/legal/wip_end"}))

    await studied.play(*case.points(case.weeks_after), judged(case.changes_at + 22 * DAY))
    await studied.begin()
    await studied.loop.run_once()

    found = [(await studied.study(number)).findings for number in (1, 3)]
    assert found[0] is not None
    assert found[0].confounded_with == (2,)
    assert "The change of ticket 2 falls into the same weeks of the same stage" in found[0].notes[-1]
    told = [one.data for one in await messages(studied) if one.data.change is TicketChange.VERDICT]
    assert [one.study.confounded_with for one in told if one.study] == [(2,)]


async def test_a_change_for_new_deals_is_studied_when_they_have_left(studied: StudyParts) -> None:
    case = case_of([9] * 6)
    stay = 10 * 86_400
    times = [point(LOWER._replace(column="time_in_stage_median_s"), week, stay) for week in range(31)]  # type: ignore[arg-type]
    await studied.play(*times)
    before = range(case.weeks_before + 1)
    await studied.play(*case.points(before), judged(moment(WEEKS.start(case.weeks_before + 1))))
    await studied.play(event(case.problem()))
    sealed = await studied.seal(1, case.draft().model_copy(update={"new_entries_only": True}))
    assert sealed.change_date == case.changes_at.date()
    await studied.play(*case.points([case.first - 1]), judged(case.changes_at))
    await studied.begin()
    await studied.play(*case.points(case.weeks_after))
    await studied.loop.run_once()

    findings = (await studied.study()).findings
    assert findings is not None
    # Two weeks of the six are gone by the time half of the new deals have left.
    assert findings.weeks_over == 4
