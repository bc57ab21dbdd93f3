"""Which changes are worth a mail and when; notices that wait are merged."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.notifier.delivery.retry_delays import backoff, resend_pause
from services.notifier.domain.decide import Decision, NoticeHistory, WaitingNotice, decide, decide_by_person
from services.notifier.domain.reasons import REASONS
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


def decided(
    change: TicketChange,
    now: datetime,
    history: NoticeHistory,
    every: timedelta,
    outcome: TicketOutcome | None = None,
) -> Decision | None:
    """What is decided about a change, by a reader who wants all."""
    return decide(change, REASONS.get(change), now, history, every, outcome)


@pytest.mark.parametrize(
    "change", [TicketChange.OPENED, TicketChange.REOPENED, TicketChange.CLEARED, TicketChange.GREW]
)
def test_four_changes_are_due_at_once(change: TicketChange) -> None:
    assert decided(change, day(1), NoticeHistory(), HOUR) == Decision(NoticeReason(change.value), day(1))


@pytest.mark.parametrize(
    "change",
    [TicketChange.UPDATED, TicketChange.ACKNOWLEDGED, TicketChange.SNOOZED, TicketChange.WOKE, TicketChange.CLOSED],
)
def test_other_changes_cause_no_mail(change: TicketChange) -> None:
    assert decided(change, day(1), NoticeHistory(), HOUR) is None


@pytest.mark.parametrize(
    "change", [TicketChange.OPENED, TicketChange.REOPENED, TicketChange.CLEARED, TicketChange.GREW]
)
def test_whatever_changes_is_reported_an_hour_after_the_last_mail(change: TicketChange) -> None:
    history = NoticeHistory(last_sent=OPENED, last_mail=day(1) - timedelta(minutes=20))

    assert decided(change, day(1), history, HOUR) == Decision(
        NoticeReason(change.value), day(1) + timedelta(minutes=40)
    )


def test_a_change_after_a_mail_that_a_server_may_have_waits_an_hour() -> None:
    history = NoticeHistory([WaitingNotice(7, OPENED, frozen=True)])

    assert decided(TicketChange.CLEARED, day(1), history, HOUR) == Decision(CLEARED, day(1) + HOUR)


def test_a_withdrawal_waits_for_its_hour_too() -> None:
    history = NoticeHistory(last_sent=OPENED, last_mail=day(1))

    assert decided(TicketChange.CLOSED, day(1), history, HOUR, TicketOutcome.RETRACTED) == Decision(
        CLEARED, day(1) + HOUR
    )


@pytest.mark.parametrize(
    ("known", "changes", "reason"),
    [
        (OPENED, "cleared reopened", NoticeReason.REOPENED),
        (OPENED, "cleared reopened cleared", CLEARED),
        (OPENED, "grew cleared", CLEARED),
        (OPENED, "grew cleared reopened grew", NoticeReason.REOPENED),
        (CLEARED, "reopened grew", NoticeReason.REOPENED),
        (CLEARED, "reopened cleared", BOTH),
        (CLEARED, "reopened cleared reopened", NoticeReason.REOPENED),
        (BOTH, "reopened cleared", BOTH),
        (None, "opened cleared", BOTH),
        (None, "opened cleared reopened", OPENED),
        (None, "opened cleared reopened cleared", BOTH),
    ],
)
def test_a_flapping_problem_gets_one_mail_that_says_how_it_is(
    known: NoticeReason | None, changes: str, reason: NoticeReason
) -> None:
    """Whatever happens within the hour, one notice waits, and it says what its reader does not know yet."""
    waiting: list[WaitingNotice] = []
    for change in changes.split():
        history = NoticeHistory(waiting, known, None if known is None else day(1))
        decision = decided(TicketChange(change), day(1), history, HOUR)
        assert decision is not None
        assert decision.reason is not None
        assert decision.into == (7 if waiting else None)
        waiting = [WaitingNotice(7, decision.reason)]

    assert [notice.reason for notice in waiting] == [reason]


def test_growth_updates_a_waiting_notice() -> None:
    assert decided(TicketChange.GREW, day(1), NoticeHistory([WaitingNotice(7, OPENED)]), HOUR) == Decision(
        OPENED, day(1), 7
    )
    assert decided(TicketChange.GREW, day(1), NoticeHistory([WaitingNotice(7, GREW)]), HOUR) == Decision(
        GREW, day(1), 7
    )


def test_of_several_notices_that_wait_one_remains() -> None:
    waiting = [WaitingNotice(7, OPENED), WaitingNotice(8, GREW)]

    assert decided(TicketChange.CLEARED, day(1), NoticeHistory(waiting), HOUR) == Decision(BOTH, day(1), 7, (), (8,))


@pytest.mark.parametrize(
    ("waiting", "merged"),
    [
        ((NoticeReason.VERDICT, GREW), NoticeReason.VERDICT),
        ((GREW, NoticeReason.DECAYED), NoticeReason.DECAYED),
        ((OPENED, CLEARED), OPENED),
        ((GREW, NoticeReason.PLAN_DUE, NoticeReason.CORD), NoticeReason.CORD),
    ],
)
def test_of_several_notices_that_wait_the_weightiest_names_the_mail(
    waiting: tuple[NoticeReason, ...], merged: NoticeReason
) -> None:
    """A sender had the first one, and could not deliver it; meanwhile the others were written."""
    notices = [WaitingNotice(number, reason) for number, reason in enumerate(waiting, 7)]
    decision = decided(TicketChange.GREW, day(1), NoticeHistory(notices), HOUR)

    assert decision == Decision(merged, day(1), 7, (), tuple(one.id for one in notices[1:]))


@pytest.mark.parametrize("outcome", [TicketOutcome.RETRACTED, TicketOutcome.WONT_FIX, TicketOutcome.ABANDONED])
def test_a_ticket_closed_before_its_mails_were_sent_causes_no_mail(outcome: TicketOutcome) -> None:
    waiting = [WaitingNotice(7, OPENED), WaitingNotice(8, GREW)]

    decision = decided(TicketChange.CLOSED, day(1), NoticeHistory(waiting), HOUR, outcome)

    assert decision == Decision(None, day(1), None, (7, 8))


@pytest.mark.parametrize(
    "history",
    [
        NoticeHistory(last_sent=OPENED),
        NoticeHistory([WaitingNotice(7, OPENED, frozen=True)]),
        NoticeHistory([WaitingNotice(8, GREW)], GREW),
    ],
)
def test_a_retracted_problem_that_was_reported_is_withdrawn_by_one_mail(history: NoticeHistory) -> None:
    decision = decided(TicketChange.CLOSED, day(1), history, HOUR, TicketOutcome.RETRACTED)

    due = day(1) + HOUR if any(one.frozen for one in history.waiting) else day(1)
    assert decision == Decision(CLEARED, due, None, tuple(one.id for one in history.waiting if not one.frozen))


@pytest.mark.parametrize(
    "history", [NoticeHistory(), NoticeHistory(last_sent=CLEARED), NoticeHistory([WaitingNotice(7, CLEARED)], OPENED)]
)
def test_a_problem_that_its_reader_knows_to_be_over_is_not_withdrawn(history: NoticeHistory) -> None:
    assert decided(TicketChange.CLOSED, day(1), history, HOUR, TicketOutcome.RETRACTED) is None


def test_a_close_keeps_notices_that_say_the_problem_is_over() -> None:
    history = NoticeHistory([WaitingNotice(7, BOTH)])

    assert decided(TicketChange.CLOSED, day(1), history, HOUR, TicketOutcome.CLEARED_WITHOUT_CHANGE) is None


@pytest.mark.parametrize("dropped", [OPENED, GREW, NoticeReason.REOPENED])
def test_a_ticket_that_is_opened_again_gets_the_mail_that_its_closing_dropped(dropped: NoticeReason) -> None:
    unknown = NoticeHistory(dropped=dropped)
    reported = NoticeHistory(last_sent=OPENED, last_mail=day(1), dropped=dropped)

    assert decide_by_person(True, False, day(1), unknown, HOUR) == Decision(OPENED, day(1))
    assert decide_by_person(True, False, day(1), reported, HOUR) == Decision(dropped, day(1) + HOUR)


def test_a_ticket_that_is_opened_again_after_its_problem_was_over_gets_its_first_mail_only() -> None:
    assert decide_by_person(True, True, day(1), NoticeHistory(dropped=OPENED), HOUR) == Decision(OPENED, day(1))
    assert decide_by_person(True, True, day(1), NoticeHistory(last_sent=OPENED, dropped=GREW), HOUR) is None


@pytest.mark.parametrize(
    "history",
    [
        NoticeHistory(),
        NoticeHistory(last_sent=OPENED),
        NoticeHistory([WaitingNotice(7, OPENED)]),
        NoticeHistory([WaitingNotice(7, OPENED, frozen=True)]),
    ],
)
def test_a_ticket_that_is_opened_again_causes_no_mail_where_none_was_dropped(history: NoticeHistory) -> None:
    assert decide_by_person(True, False, day(1), history, HOUR) is None


def test_an_opening_that_a_person_takes_back_drops_what_waits() -> None:
    history = NoticeHistory([WaitingNotice(7, OPENED)])

    assert decide_by_person(False, False, day(1), history, HOUR) == Decision(None, day(1), None, (7,))


@pytest.mark.parametrize(
    ("change", "seq", "at", "covered"),
    [
        (TicketChange.CLEARED, 4, day(4), False),
        (TicketChange.GREW, 3, day(3), True),
        (TicketChange.GREW, 2, day(2), True),
        (TicketChange.CLEARED, 2, day(4), False),  # the database was set back, and counts on from there
        (TicketChange.CLOSED, 2, day(4), True),  # would drop newer notices if it was a second delivery
    ],
)
def test_a_second_delivery_is_known_by_number_and_time(
    change: TicketChange, seq: int, at: datetime, covered: bool
) -> None:
    assert NoticeHistory(latest_seq=3, latest_at=day(3)).covers(change, seq, at) is covered


def test_waits_grow_to_five_minutes_and_no_further() -> None:
    waits = [backoff(attempt, 1.0).total_seconds() for attempt in (1, 2, 3, 9, 10, 1000)]

    assert waits == [1, 2, 4, 256, 300, 300]
    assert backoff(5, 0.0) == timedelta(seconds=8)


def test_after_a_lost_answer_resends_are_few_and_far() -> None:
    hours = [resend_pause(times) / HOUR for times in (1, 2, 3, 4, 5, 100)]

    assert hours == [1, 4, 24, 72, 168, 168]
