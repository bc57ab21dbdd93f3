"""What follows from a study: for ticket and chart, and when nothing changes a verdict any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from services.tickets.domain.plan import Countermeasure, Plan, Predicted
from services.tickets.domain.seal import SealedGround, SealedPlan, SealedWeeks
from services.tickets.domain.ticket import Ticket
from services.tickets.study.change_weeks import weeks_around
from services.tickets.study.consequences import (
    StudiedTicket,
    effect_steps,
    gain_steps,
    is_complete,
    new_baseline,
    settled,
    verdict_steps,
)
from services.tickets.study.evaluate import StudyResult
from services.tickets.study.findings import StudyFindings
from services.tickets.study.record import Study, StudyKey
from shared.contracts.measures import Column
from shared.contracts.relocks import RelockData
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.sealing import NotShown, Weighed
from shared.flow.statistics.verification import Conclusion, Verdict, Verification
from tests.support.problems import problem
from tests.support.week_messages import WEEKS

MEASURE, BEGIN, DAY = Chart("new", "demo", Column.WIP_END), datetime(2025, 8, 5, 22, tzinfo=UTC), timedelta(days=1)
NOW, WEEK = BEGIN + 60 * DAY, timedelta(days=7)
VERIFIED, NONE = Conclusion(Verdict.VERIFIED, None, 4), Conclusion()
WORSE = Conclusion(Verdict.NOT_SHOWN, NotShown.WORSE, 13)
FOUND = StudyFindings(weeks_over=13, verdict_seen_at=NOW, effect_sentence="3 deals better.", result_sentence="It held.")


def sealed() -> SealedPlan:
    predicted, weeks = Predicted(Fraction(3), SizeUnit.DIFFERENCE, "why"), SealedWeeks((), ())
    plan = Plan("aim", MEASURE, "change", Countermeasure.STEP, (), predicted, date(2025, 8, 6), False, None)
    return SealedPlan(1, 1, 1, BEGIN - DAY, None, "", plan, SealedGround("Europe/Berlin", (), None, weeks))


def ticket(state: TicketState, outcome: TicketOutcome | None = None, cycle: int = 1) -> Ticket:
    closed = BEGIN + 30 * DAY if state is TicketState.CLOSED else None
    data = problem(stage="demo", opened_at=BEGIN - 20 * DAY)
    return Ticket(
        1,
        data.key,
        state,
        5,
        data.opened_at,
        BEGIN,
        data,
        outcome,
        closed,
        cycle=cycle,
        plan=1,
        change_date=BEGIN.date(),
    )


VERIFYING = ticket(TicketState.VERIFYING)
CLOSED = ticket(TicketState.CLOSED, TicketOutcome.VERIFIED)


def at(one: Ticket, conclusion: Conclusion = NONE, *, is_newest: bool = True, **fields: Any) -> StudiedTicket:
    study = Study(StudyKey(1, 1), 1, BEGIN, conclusion=conclusion, **fields)
    return StudiedTicket(one, study, sealed(), weeks_around(sealed(), WEEKS), is_newest, NOW)


def result(conclusion: Conclusion, hold: Hold | None = None, weeks_over: int = 13) -> StudyResult:
    return StudyResult(Verification(conclusion, Weighed((), ()), hold=hold), weeks_over, None)


def changes(steps: Sequence[Any] | None) -> list[str] | None:
    return None if steps is None else [step.change.value for step in steps]


@pytest.mark.parametrize(
    ("one", "known", "found", "expected"),
    [
        (VERIFYING, NONE, VERIFIED, ["verdict"]),
        (VERIFYING, NONE, WORSE, ["verdict"]),
        (CLOSED, VERIFIED, WORSE, ["verdict"]),
        (CLOSED, VERIFIED, NONE, ["verifying"]),
        # Too late: it is worked on again, or in a next cycle.
        (ticket(TicketState.OPEN, cycle=2), VERIFIED, NONE, None),
        (ticket(TicketState.VERIFYING, cycle=2), VERIFIED, WORSE, None),
        (ticket(TicketState.CLOSED, TicketOutcome.ABANDONED), NONE, VERIFIED, None),
    ],
)
def test_a_verdict_closes_the_ticket_that_waits_for_it(
    one: Ticket, known: Conclusion, found: Conclusion, expected: list[str] | None
) -> None:
    assert changes(verdict_steps(at(one, known), found, "Because.")) == expected


def test_a_study_does_not_go_on_where_a_newer_ticket_exists() -> None:
    assert verdict_steps(at(CLOSED, VERIFIED, is_newest=False), NONE, None) is None


def test_late_events_are_named_as_the_reason() -> None:
    (step,) = verdict_steps(at(CLOSED, VERIFIED), WORSE, "Because.") or []

    assert (step.reason, step.at) == ("Late events changed the verdict. Because.", NOW)
    assert step.ticket.closed_at == CLOSED.closed_at


def test_a_verdict_is_final_once_decided_on_or_when_all_late_events_have_come() -> None:
    known = Study(StudyKey(1, 1), 1, BEGIN, FOUND, conclusion=VERIFIED)

    assert settled(known, NOW + 2 * WEEK, WEEK) is None
    assert settled(known, NOW + 2 * WEEK + timedelta(seconds=1), WEEK) == VERIFIED
    assert settled(replace(known, decision=TicketChange.ADOPTED), NOW, WEEK) == VERIFIED
    assert settled(replace(known, conclusion=NONE), NOW + 9 * WEEK, WEEK) is None


def test_the_size_is_told_once_after_a_verdict_that_came_before_it() -> None:
    one = at(CLOSED, VERIFIED)

    (step,) = effect_steps(one, CLOSED, result(VERIFIED), FOUND)
    assert (step.change, step.reason) == (TicketChange.UPDATED, "3 deals better. It held.")
    assert not effect_steps(at(CLOSED, VERIFIED, findings=FOUND), CLOSED, result(VERIFIED), FOUND)
    assert not effect_steps(one, CLOSED, result(WORSE), FOUND)
    assert not effect_steps(one, ticket(TicketState.OPEN, cycle=2), result(VERIFIED), FOUND)


def test_what_becomes_of_a_gain_is_told_once() -> None:
    held = result(VERIFIED, Hold.HELD, 26)

    assert changes(gain_steps(at(CLOSED, VERIFIED), CLOSED, held, "The gain holds.")) == ["held"]
    assert not gain_steps(at(CLOSED, VERIFIED, hold=Hold.HELD), CLOSED, held, None)
    assert not gain_steps(at(CLOSED, VERIFIED, decision=TicketChange.ADAPTED), CLOSED, held, None)
    lost = result(VERIFIED, Hold.DECAYED, 26)
    assert changes(gain_steps(at(CLOSED, VERIFIED), CLOSED, lost, "Lost.")) == ["decayed", "reopened"]
    assert changes(gain_steps(at(CLOSED, VERIFIED, is_newest=False), CLOSED, lost, "Lost.")) == ["decayed"]
    worked_on = ticket(TicketState.DOING, cycle=2)
    assert changes(gain_steps(at(worked_on, VERIFIED), worked_on, lost, "Lost.")) == ["decayed"]


def test_a_study_is_complete_when_nothing_more_is_to_be_found() -> None:
    assert not is_complete(at(VERIFYING), result(NONE, weeks_over=12))
    assert is_complete(at(CLOSED), result(WORSE))
    assert not is_complete(at(CLOSED), result(VERIFIED))
    assert is_complete(at(CLOSED), result(VERIFIED, Hold.UNKNOWN, 26))
    assert is_complete(at(CLOSED, decision=TicketChange.ADAPTED), result(VERIFIED))


def relock(week: int, actor: str, points: int = 13) -> RelockData:
    fields = {"from_week": WEEKS.name(week), "points": points, "actor": actor}
    return RelockData(chart=MEASURE.name, reason="why", at=NOW, **fields)


@pytest.mark.parametrize(
    ("points", "relocked", "known", "size"),
    [
        (4, 0, [], 13),
        (19, 13, [], None),
        (20, 13, [(32, "system")], 20),
        (20, 0, [], 20),
        (26, 20, [(32, "system")], None),
        # A person chose, or another change is verified since.
        (4, 0, [(32, "person")], None),
        (20, 13, [(40, "system")], None),
        (4, 0, [(10, "person")], 13),
    ],
)
def test_a_verified_change_gives_its_chart_a_new_baseline(
    points: int, relocked: int, known: list[tuple[int, str]], size: int | None
) -> None:
    others = [relock(*one) for one in known]
    found = new_baseline(at(CLOSED), result(VERIFIED), points, relocked, others)

    assert (found.points if found else None) == size
    assert found is None or found.from_week == WEEKS.name(32)
    assert new_baseline(at(CLOSED), result(WORSE), points, relocked, others) is None
