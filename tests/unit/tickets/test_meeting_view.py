"""What the improvement meeting asks of each ticket, in which order, and for how long it has waited."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.tickets.store.meeting import WaitingTicket
from services.tickets.web.meeting_view import (
    REVIEW_EVERY,
    Asked,
    MeetingPart,
    actions,
    asked_of,
    in_parts,
    question,
    summary,
    waited,
)
from shared.contracts.tickets import TicketOutcome, TicketState
from tests.support.problems import day

NOW = day(0)
TODAY = NOW.date()


def ticket(state: TicketState, number: int = 1, waits: float = 3, **fields: Any) -> WaitingTicket:
    known: dict[str, Any] = {"outcome": None, "change_date": None, "is_lost": False, "has_draft": False}
    return WaitingTicket(number=number, state=state, since=day(-waits), **(known | fields))


def closed(outcome: TicketOutcome, waits: float = 3) -> WaitingTicket:
    return ticket(TicketState.CLOSED, waits=waits, outcome=outcome)


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("one", "asked"),
    [
        (ticket(TicketState.OPEN), Asked.UNSEEN),
        (ticket(TicketState.ACKNOWLEDGED), Asked.UNPLANNED),
        (ticket(TicketState.OPEN, is_lost=True), Asked.LOST),
        (ticket(TicketState.ACKNOWLEDGED, is_lost=True), Asked.LOST),
        (ticket(TicketState.PLANNED, change_date=in_days(7)), Asked.CHANGE),
        (ticket(TicketState.PLANNED, change_date=in_days(8)), None),
        (ticket(TicketState.PLANNED, change_date=in_days(-1)), Asked.CHANGE),
        (ticket(TicketState.DOING, change_date=in_days(0), is_lost=True), Asked.CHANGE),
        (ticket(TicketState.VERIFYING, change_date=in_days(-30)), None),
        (closed(TicketOutcome.VERIFIED), Asked.VERDICT),
        (closed(TicketOutcome.NOT_SHOWN), Asked.VERDICT),
        (closed(TicketOutcome.RESTORED), Asked.VERDICT),
    ],
)
def test_each_state_asks_its_own_question(one: WaitingTicket, asked: Asked | None) -> None:
    assert asked_of(one, NOW, TODAY, None) is asked


@pytest.mark.parametrize(("days", "is_due"), [(0, True), (7, True), (8, False)])
def test_a_study_is_on_the_list_in_the_week_before_its_look(days: int, is_due: bool) -> None:
    found = asked_of(ticket(TicketState.VERIFYING), NOW, TODAY, in_days(days))

    assert found is (Asked.LOOK if is_due else None)


@pytest.mark.parametrize(
    ("days", "is_due"), [(90.9, False), (91, True), (104.9, True), (105, False), (182, True), (196, False), (364, True)]
)
def test_what_is_left_as_it_is_comes_up_once_a_quarter_for_two_weeks(days: float, is_due: bool) -> None:
    found = asked_of(closed(TicketOutcome.WONT_FIX, waits=days), NOW, TODAY, None)

    assert found is (Asked.LEFT if is_due else None)
    assert timedelta(days=91) == REVIEW_EVERY


def test_parts_are_in_the_order_of_the_meeting_and_who_waits_longest_comes_first() -> None:
    found = [
        closed(TicketOutcome.VERIFIED),
        ticket(TicketState.ACKNOWLEDGED, 2),
        ticket(TicketState.OPEN, 3, waits=1),
        ticket(TicketState.OPEN, 5, waits=9),
        ticket(TicketState.OPEN, 4, waits=9),
    ]

    parts = in_parts(found, NOW, TODAY, {})

    assert list(parts) == list(Asked)
    assert [one.number for one in parts[Asked.UNSEEN]] == [4, 5, 3]


def test_waiting_is_counted_until_a_decision_is_due_at_all() -> None:
    assert waited(Asked.UNSEEN, day(-12), NOW) == "12 days"
    assert waited(Asked.VERDICT, day(-1), NOW) == "1 day"
    assert waited(Asked.CHANGE, day(-12), NOW) == waited(Asked.LOOK, day(-12), NOW) == ""


@pytest.mark.parametrize(
    ("tickets", "says"),
    [
        ([], "Nothing waits for a decision."),
        ([ticket(TicketState.OPEN)], "1 decision waits, the longest for 3 days."),
        (
            [ticket(TicketState.OPEN), ticket(TicketState.ACKNOWLEDGED, 2, 41)],
            "2 decisions wait, the longest for 41 days.",
        ),
        ([ticket(TicketState.DOING, change_date=TODAY)], "1 decision waits."),
    ],
)
def test_the_summary_counts_what_waits(tickets: list[WaitingTicket], says: str) -> None:
    found = in_parts(tickets, NOW, TODAY, {})
    parts = [MeetingPart(asked, "", len(some), []) for asked, some in found.items()]

    assert summary(parts, found, NOW) == says


def test_a_look_waits_for_nobody() -> None:
    found = in_parts([ticket(TicketState.VERIFYING)], NOW, TODAY, {1: TODAY})

    assert summary([MeetingPart(Asked.LOOK, "", 1, [])], found, NOW) == "Nothing waits for a decision."


@pytest.mark.parametrize("asked", [asked for asked in Asked if asked is not Asked.BASELINE])
def test_every_part_has_a_question(asked: Asked) -> None:
    assert question(asked, ticket(TicketState.PLANNED), "12 December").endswith("?")


def test_a_draft_is_known() -> None:
    one = ticket(TicketState.ACKNOWLEDGED, has_draft=True)

    assert question(Asked.UNPLANNED, one, "").startswith("The plan is begun; what is missing?")


@pytest.mark.parametrize(
    ("one", "asked", "sent"),
    [
        (ticket(TicketState.OPEN), Asked.UNSEEN, {"/tickets/1/acknowledge": {"version": "4"}}),
        (ticket(TicketState.OPEN, is_lost=True), Asked.LOST, {"/tickets/1/acknowledge": {"version": "4"}}),
        (ticket(TicketState.ACKNOWLEDGED), Asked.UNPLANNED, {}),
        (ticket(TicketState.PLANNED), Asked.CHANGE, {"/tickets/1/start": {"version": "4"}}),
        (ticket(TicketState.DOING), Asked.CHANGE, {}),
        (ticket(TicketState.VERIFYING), Asked.LOOK, {}),
        (closed(TicketOutcome.WONT_FIX), Asked.LEFT, {}),
        (closed(TicketOutcome.VERIFIED), Asked.VERDICT, {"/tickets/1/decide": {"version": "4", "decision": "adopted"}}),
    ],
)
def test_only_what_the_state_allows_has_a_button(
    one: WaitingTicket, asked: Asked, sent: dict[str, dict[str, str]]
) -> None:
    found = actions(asked, one, 4)

    assert {action.address: action.fields for action in found if action.fields} == sent
    assert found
