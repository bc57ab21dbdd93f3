"""Who is told of what and when; mails that wait are put together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.notifier.delivery.sender import backoff
from services.notifier.domain.decide import Decision, Earlier, Waiting, decide
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketOutcome
from tests.support.problems import day

HOUR = timedelta(hours=1)
OPENED, GREW, CLEARED, BOTH = (
    NoticeReason.OPENED,
    NoticeReason.GREW,
    NoticeReason.CLEARED,
    NoticeReason.OPENED_AND_CLEARED,
)


@pytest.mark.parametrize(
    "change", [TicketChange.OPENED, TicketChange.REOPENED, TicketChange.CLEARED, TicketChange.GREW]
)
def test_four_changes_are_told_at_once(change: TicketChange) -> None:
    assert decide(change, day(1), Earlier(), HOUR) == Decision(NoticeReason(change.value), day(1))


@pytest.mark.parametrize(
    "change",
    [TicketChange.UPDATED, TicketChange.ACKNOWLEDGED, TicketChange.SNOOZED, TicketChange.WOKE, TicketChange.CLOSED],
)
def test_the_others_are_not(change: TicketChange) -> None:
    assert decide(change, day(1), Earlier(), HOUR) is None


def test_growth_is_told_once_an_hour() -> None:
    last = day(1) - timedelta(minutes=20)

    assert decide(TicketChange.GREW, day(1), Earlier(last_grew=last), HOUR) == Decision(
        GREW, day(1) + timedelta(minutes=40)
    )


def test_growth_goes_into_a_mail_that_waits() -> None:
    assert decide(TicketChange.GREW, day(1), Earlier([Waiting(7, OPENED)]), HOUR) == Decision(OPENED, day(1), 7)
    assert decide(TicketChange.GREW, day(1), Earlier([Waiting(7, GREW)]), HOUR) == Decision(GREW, day(1), 7)


def test_growth_goes_into_no_mail_that_says_it_is_over() -> None:
    waiting = [Waiting(7, BOTH), Waiting(8, NoticeReason.REOPENED)]

    assert decide(TicketChange.GREW, day(1), Earlier(waiting), HOUR) == Decision(NoticeReason.REOPENED, day(1), 8)
    assert decide(TicketChange.GREW, day(1), Earlier(waiting[:1]), HOUR) == Decision(GREW, day(1))


def test_a_problem_over_before_its_mail_went_out_gets_one_mail_that_says_both() -> None:
    waiting = [Waiting(7, OPENED), Waiting(8, GREW)]

    assert decide(TicketChange.CLEARED, day(1), Earlier(waiting), HOUR) == Decision(BOTH, day(1), 7, (8,))


def test_a_mail_in_a_senders_hand_is_left_alone() -> None:
    waiting = [Waiting(7, OPENED, taken=True)]

    assert decide(TicketChange.CLEARED, day(1), Earlier(waiting), HOUR) == Decision(CLEARED, day(1))


@pytest.mark.parametrize("outcome", [TicketOutcome.RETRACTED, TicketOutcome.WONT_FIX, TicketOutcome.ABANDONED])
def test_what_closes_before_its_mails_went_out_is_not_told(outcome: TicketOutcome) -> None:
    waiting = [Waiting(7, OPENED), Waiting(8, GREW)]

    decision = decide(TicketChange.CLOSED, day(1), Earlier(waiting), HOUR, outcome)

    assert decision == Decision(None, day(1), None, (7, 8))


@pytest.mark.parametrize(
    "earlier", [Earlier(sent=OPENED), Earlier([Waiting(7, OPENED, taken=True)]), Earlier([Waiting(8, GREW)], GREW)]
)
def test_what_was_told_and_never_was_is_taken_back_by_one_mail(earlier: Earlier) -> None:
    decision = decide(TicketChange.CLOSED, day(1), earlier, HOUR, TicketOutcome.RETRACTED)

    assert decision == Decision(CLEARED, day(1), None, tuple(one.id for one in earlier.waiting if not one.taken))


@pytest.mark.parametrize("earlier", [Earlier(), Earlier(sent=CLEARED), Earlier([Waiting(7, CLEARED)], OPENED)])
def test_what_is_over_for_its_reader_already_is_not_taken_back(earlier: Earlier) -> None:
    assert decide(TicketChange.CLOSED, day(1), earlier, HOUR, TicketOutcome.RETRACTED) is None


def test_a_close_leaves_mails_that_say_it_is_over() -> None:
    earlier = Earlier([Waiting(7, BOTH)])

    assert decide(TicketChange.CLOSED, day(1), earlier, HOUR, TicketOutcome.CLEARED_WITHOUT_CHANGE) is None


def test_waits_grow_to_five_minutes_and_no_further() -> None:
    waits = [backoff(attempt, 1.0).total_seconds() for attempt in (1, 2, 3, 9, 10, 1000)]

    assert waits == [1, 2, 4, 256, 300, 300]
    assert backoff(5, 0.0) == timedelta(seconds=8)
