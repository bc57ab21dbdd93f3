"""The life of a ticket: every step, and what must hold in any order of messages and commands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.domain import commands, lifecycle
from services.tickets.domain.faults import (
    AlreadyDone,
    ChangedMeanwhileError,
    NotPossibleError,
    TooLateError,
    UnconfirmedError,
)
from services.tickets.domain.lifecycle import on_problem
from services.tickets.domain.ticket import BY_PERSON, CHOICES, Ticket
from services.tickets.web.view_models import ticket_view
from shared.contracts.problems import Mode, ProblemInterval, ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.policy import StageTitles
from tests.support.problems import day, policy, problem

FORTNIGHT = timedelta(days=14)


def after(*messages: Any, ticket: Ticket | None = None) -> tuple[Ticket | None, list[str]]:
    """The ticket after messages, and what happened."""
    told = []
    for message in messages:
        for step in on_problem(ticket, message, FORTNIGHT):
            ticket = step.ticket if step.ticket.id else replace(step.ticket, id=1)
            told.append(step.change.value)
    return ticket, told


def opened(**fields: Any) -> Any:
    return problem(ProblemReason.OPENED, **fields)


def test_a_problem_opens_one_ticket_and_more_of_it_adds_to_it() -> None:
    ticket, told = after(opened(), problem(ProblemReason.GREW, peak=20), opened(opened=1))

    assert told == ["opened", "grew", "updated"]
    assert ticket is not None
    assert (ticket.state, ticket.seq, ticket.opened_at) == (TicketState.OPEN, 3, day(0))


@pytest.mark.parametrize("fields", [{"historic": True}, {"mode": Mode.MONITOR}])
def test_what_is_past_or_only_watched_opens_nothing(fields: dict[str, Any]) -> None:
    assert after(opened(**fields)) == (None, [])


def test_a_problem_that_clears_by_itself_is_no_success() -> None:
    ticket, told = after(opened(), problem(ProblemReason.CLEARED, cleared=2))

    assert told == ["opened", "cleared", "closed"]
    assert ticket is not None
    assert (ticket.outcome, ticket.closed_at) == (TicketOutcome.CLEARED_WITHOUT_CHANGE, day(2))


@pytest.mark.parametrize(("again", "change"), [(15.9, "reopened"), (16.1, "opened")])
def test_it_reopens_within_a_fortnight_and_is_a_new_ticket_after(again: float, change: str) -> None:
    first = after(opened(), problem(ProblemReason.CLEARED, cleared=2))[0]

    ticket, told = after(opened(opened=again), ticket=first)

    assert told == [change]
    assert ticket is not None
    assert (ticket.state, ticket.seq) == (TicketState.OPEN, 4 if change == "reopened" else 1)


def close(ticket: Ticket, outcome: TicketOutcome, reason: str = "too dear", at: float = 1) -> Ticket:
    """The ticket, closed by a person who confirmed twice."""
    return commands.close(ticket, outcome, reason, day(at), is_confirmed=True).ticket


@pytest.mark.parametrize("outcome", BY_PERSON)
@pytest.mark.parametrize(
    "message", [problem(ProblemReason.REVISED, opened=0, was=0), problem(ProblemReason.GREW, peak=90)]
)
def test_what_a_person_closed_stays_closed_while_the_same_problem_lasts(message: Any, outcome: TicketOutcome) -> None:
    first = after(opened())[0]
    assert first is not None
    closed = close(first, outcome)

    assert after(message, ticket=closed) == (closed, [])
    assert after(opened(opened=3), ticket=closed)[1] == ["reopened"]


@pytest.mark.parametrize(
    "message", [problem(ProblemReason.CLEARED, cleared=2), problem(ProblemReason.RETRACTED, was=0)]
)
def test_a_ticket_from_before_its_rule_was_only_watched_ends_with_its_problem(message: Any) -> None:
    watched = message.model_copy(update={"mode": Mode.MONITOR})

    ticket, _ = after(opened(), problem(ProblemReason.GREW, peak=90, mode=Mode.MONITOR), watched)

    assert ticket is not None
    assert (ticket.state, ticket.problem.peak) == (TicketState.CLOSED, 12)


def test_a_problem_that_was_only_watched_opens_a_ticket_when_it_grows_under_an_active_rule() -> None:
    assert after(opened(mode=Mode.MONITOR), problem(ProblemReason.GREW, peak=20))[1] == ["opened"]


def test_that_a_rule_is_watched_otherwise_opens_what_lasts_and_changes_nothing_else() -> None:
    same = {"was": ProblemInterval(opened_at=day(0), cleared_at=None, peak=12)}
    revised = problem(ProblemReason.REVISED).model_copy(update=same)

    assert after(opened(), revised)[1] == ["opened"]
    assert after(revised)[1] == ["opened"]
    assert after(revised.model_copy(update={"mode": Mode.MONITOR}))[1] == []


def test_a_problem_that_the_policy_judges_no_more_is_not_said_to_have_never_been() -> None:
    ticket = after(opened())[0]

    (step,) = on_problem(ticket, problem(ProblemReason.UNRULED, was=0, count=0, threshold=0), FORTNIGHT)

    assert (step.ticket.outcome, step.reason) == (TicketOutcome.RETRACTED, "the policy no longer checks for this")
    shown = ticket_view(step.ticket, policy(), StageTitles.of(policy()), day(1))
    assert shown.outcome == "the policy no longer checks for this"
    assert shown.text.sentence == "12 deals, usually 3, have been in Proposal for more than 21 days."


def test_a_problem_that_never_was_closes_its_ticket_as_retracted() -> None:
    ticket, told = after(opened(), problem(ProblemReason.RETRACTED, was=0))

    assert told == ["opened", "closed"]
    assert ticket is not None
    assert ticket.outcome is TicketOutcome.RETRACTED


def test_an_interval_that_late_events_moved_stays_with_its_ticket() -> None:
    ticket, told = after(opened(opened=1), problem(ProblemReason.REVISED, opened=0.5, was=1))

    assert told == ["opened", "updated"]
    assert ticket is not None
    assert ticket.problem.opened_at == day(0.5)


def test_news_of_an_older_interval_change_nothing() -> None:
    assert after(opened(opened=5), problem(ProblemReason.CLEARED, opened=1, cleared=2))[1] == ["opened"]


def test_a_person_acknowledges_puts_aside_and_closes() -> None:
    ticket = after(opened())[0]
    assert ticket is not None

    seen = commands.acknowledge(ticket, day(1)).ticket
    aside = commands.snooze(seen, day(9), day(1)).ticket
    assert lifecycle.wake(aside, day(8)) is None
    woken = lifecycle.wake(aside, day(10))
    assert woken is not None
    done = commands.close(woken.ticket, TicketOutcome.WONT_FIX, " too dear ", day(11), is_confirmed=True)

    assert [seen.state, aside.state, woken.ticket.state] == ["acknowledged", "snoozed", "open"]
    assert (done.ticket.outcome, done.reason, done.ticket.seq) == (TicketOutcome.WONT_FIX, "too dear", 5)


def test_wishes_that_do_not_fit_say_what_to_do() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    closed = close(ticket, TicketOutcome.ABANDONED, "given up")
    seen = commands.acknowledge(ticket, day(1)).ticket

    for wish in (
        lambda: commands.close(ticket, TicketOutcome.WONT_FIX, "  ", day(1)),
        lambda: commands.close(ticket, TicketOutcome.RETRACTED, "because", day(1)),
        lambda: commands.close(closed, TicketOutcome.WONT_FIX, "because", day(2)),
        lambda: commands.snooze(ticket, day(1), day(2)),
        lambda: commands.snooze(ticket, day(200), day(2)),
        lambda: commands.snooze(closed, day(9), day(2)),
        lambda: commands.acknowledge(closed, day(2)),
        lambda: commands.close(ticket, TicketOutcome.CLEARED_WITHOUT_CHANGE, "it is gone", day(2), is_confirmed=True),
        lambda: commands.close(ticket, None, "because", day(2), is_confirmed=True),
        lambda: commands.reopen(closed, " ", day(2), is_newest=True),
        lambda: commands.reopen(closed, "because", day(2), is_newest=False),
        lambda: commands.undo(ticket, day(2), is_newest=True),
        lambda: commands.undo(closed, day(2), is_newest=False),
    ):
        with pytest.raises(NotPossibleError):
            wish()
    with pytest.raises(AlreadyDone):
        commands.acknowledge(seen, day(2))


def test_closing_asks_twice_while_the_problem_goes_on_and_once_when_it_is_over() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    with pytest.raises(UnconfirmedError):
        commands.close(ticket, TicketOutcome.WONT_FIX, "too dear", day(1))

    over = after(opened(), problem(ProblemReason.CLEARED, cleared=2))[0]
    assert over is not None
    again = commands.reopen(over, "we changed the price list", day(3), is_newest=True).ticket
    for outcome in CHOICES:
        assert commands.close(again, outcome, "the price list", day(4)).ticket.outcome is outcome


def test_a_person_reopens_and_the_reason_stays_in_the_history() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    closed = close(ticket, TicketOutcome.ABANDONED)

    step = commands.reopen(closed, " there is money now ", day(2), is_newest=True)

    assert (step.change, step.actor, step.reason) == (TicketChange.REOPENED, Actor.PERSON, "there is money now")
    assert (step.ticket.state, step.ticket.outcome, step.ticket.closed_because) == ("acknowledged", None, None)
    assert after(problem(ProblemReason.CLEARED, cleared=3), ticket=step.ticket)[1] == ["cleared", "closed"]
    with pytest.raises(AlreadyDone):
        commands.reopen(step.ticket, "again", day(2), is_newest=True)


def test_what_never_was_a_problem_is_not_reopened() -> None:
    ticket = after(opened(), problem(ProblemReason.RETRACTED, was=0))[0]
    assert ticket is not None

    with pytest.raises(TooLateError, match="no problem"):
        commands.reopen(ticket, "because", day(2), is_newest=True)


@pytest.mark.parametrize("act", ["acknowledge", "snooze", "close", "reopen"])
def test_a_persons_last_change_can_be_undone_once_and_until_the_ticket_changes(act: str) -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    if act == "reopen":
        ticket = close(ticket, TicketOutcome.WONT_FIX)
    done = {
        "acknowledge": lambda: commands.acknowledge(ticket, day(1)),
        "snooze": lambda: commands.snooze(ticket, day(9), day(1)),
        "close": lambda: commands.close(ticket, TicketOutcome.WONT_FIX, "x", day(1), is_confirmed=True),
        "reopen": lambda: commands.reopen(ticket, "x", day(1), is_newest=True),
    }[act]().ticket

    undone = commands.undo(done, day(2), is_newest=True).ticket

    assert (undone.stand, undone.seq) == (ticket.stand, done.seq + 1)
    with pytest.raises(TooLateError, match="Nothing is left to undo"):
        commands.undo(undone, day(2), is_newest=True)
    # A closed ticket follows its problem without a change, so that its closing can still be undone.
    grown, changes = after(problem(ProblemReason.GREW, peak=20), ticket=done)
    assert grown is not None
    assert (grown.before is None) == (changes == ["grew"])


def test_what_is_undone_after_its_snooze_has_ended_is_open() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    snoozed = commands.snooze(ticket, day(9), day(1)).ticket
    seen = commands.acknowledge(snoozed, day(2)).ticket

    assert commands.undo(seen, day(3), is_newest=True).ticket.snoozed_until == day(9)
    assert commands.undo(seen, day(10), is_newest=True).ticket.state is TicketState.OPEN


def test_a_command_from_an_old_page_overrides_nothing() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    snoozed = commands.snooze(ticket, day(9), day(1)).ticket

    def close_it(is_confirmed: bool = True) -> Any:
        return commands.close(snoozed, TicketOutcome.WONT_FIX, "x", day(2), is_confirmed)

    for version in (ticket.seq, snoozed.seq + 1, 0):
        for is_confirmed in (True, False):
            with pytest.raises(ChangedMeanwhileError):
                commands.run(snoozed, version, lambda: close_it(is_confirmed))  # noqa: B023
        # What the ticket is already is done, however old the page.
        with pytest.raises(AlreadyDone):
            commands.run(snoozed, version, lambda: commands.snooze(snoozed, day(9), day(1)))
    with pytest.raises(UnconfirmedError):
        commands.run(snoozed, snoozed.seq, lambda: close_it(is_confirmed=False))
    assert commands.run(snoozed, snoozed.seq, close_it).change is TicketChange.CLOSED


def test_a_closing_that_is_sent_twice_is_done_and_another_one_too_late() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    closed = close(ticket, TicketOutcome.WONT_FIX)

    with pytest.raises(AlreadyDone):
        commands.close(closed, TicketOutcome.WONT_FIX, "too dear ", day(2))
    for outcome, reason in ((TicketOutcome.ABANDONED, "too dear"), (TicketOutcome.WONT_FIX, "no time")):
        with pytest.raises(TooLateError) as raised:
            commands.close(closed, outcome, reason, day(2))
        assert not isinstance(raised.value, AlreadyDone)


def interval(step: Any) -> Any:
    return step.was and (step.was.opened_at, step.was.cleared_at)


def test_after_late_events_the_history_keeps_what_was_shown_before() -> None:
    ticket = after(opened(opened=1))[0]

    (moved,) = on_problem(ticket, problem(ProblemReason.REVISED, opened=0.5, was=1), FORTNIGHT)
    grown = on_problem(ticket, problem(ProblemReason.GREW, opened=0.5, was=1, peak=20), FORTNIGHT)[0]
    cleared = on_problem(ticket, problem(ProblemReason.CLEARED, opened=0.5, was=1, cleared=3), FORTNIGHT)[0]
    assert [interval(one) for one in (moved, grown, cleared)] == [(day(1), None)] * 3
    # A problem that only ends, or starts again, was shown as it was.
    (again,) = on_problem(ticket, opened(opened=5), FORTNIGHT)
    plain = on_problem(ticket, problem(ProblemReason.CLEARED, opened=1, cleared=3), FORTNIGHT)[0]
    assert [interval(one) for one in (again, plain)] == [None, None]


def test_a_closed_ticket_tells_what_late_events_change_and_stays_closed() -> None:
    ticket = after(opened(), problem(ProblemReason.CLEARED, cleared=2))[0]
    late = problem(ProblemReason.REVISED, opened=0, was=0, cleared=3)

    (step,) = on_problem(ticket, late, FORTNIGHT)

    assert (step.change, step.ticket.state, interval(step)) == (TicketChange.UPDATED, "closed", (day(0), day(2)))
    assert step.ticket.problem.cleared_at == day(3)
    assert on_problem(step.ticket, late, FORTNIGHT) == []


@pytest.mark.parametrize(
    ("message", "reason", "goes_on"),
    [
        (problem(ProblemReason.CLEARED, cleared=3), "the problem is over", False),
        (problem(ProblemReason.RETRACTED, was=0), "late events show that there was no problem", False),
        (problem(ProblemReason.UNRULED, was=0), "the policy no longer checks for this", False),
        (problem(ProblemReason.REVISED, opened=-1, was=0), "late events changed it", True),
    ],
)
def test_what_becomes_of_a_problem_after_a_person_closed_its_ticket_is_told_there(
    message: Any, reason: str, goes_on: bool
) -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    closed = close(ticket, TicketOutcome.CHANGED_UNPLANNED)

    (step,) = on_problem(closed, message, FORTNIGHT)

    assert (step.change, step.reason, step.ticket.outcome) == (TicketChange.UPDATED, reason, closed.outcome)
    assert (step.ticket.state, step.ticket.goes_on) == ("closed", goes_on)


def test_a_closed_ticket_follows_the_count_of_its_problem_without_a_change() -> None:
    ticket = after(opened())[0]
    assert ticket is not None
    closed, grown = close(ticket, TicketOutcome.WONT_FIX), problem(ProblemReason.GREW, peak=90)

    assert lifecycle.follow(closed, grown).problem.peak == 90
    assert lifecycle.follow(closed, opened(opened=7)) == closed
    assert lifecycle.follow(ticket, grown) == ticket


def any_message(reason: ProblemReason, at: int, length: int, was: int) -> Any:
    again = reason in (ProblemReason.REVISED, ProblemReason.RETRACTED)
    ends = reason is ProblemReason.CLEARED or (reason is ProblemReason.REVISED and was % 2)
    return problem(reason, opened=at, was=was if again else None, cleared=at + length if ends else None)


MESSAGES = st.lists(
    st.builds(
        any_message, st.sampled_from(list(ProblemReason)), st.integers(0, 40), st.integers(1, 9), st.integers(0, 40)
    ),
    max_size=12,
)


@given(MESSAGES)
def test_whatever_comes_a_ticket_keeps_its_order(messages: list[Any]) -> None:
    ticket = None
    for message in messages:
        seq = ticket.seq if ticket is not None else 0
        for step in on_problem(ticket, message, FORTNIGHT):
            fresh = step.change is TicketChange.OPENED
            assert step.ticket.seq == (1 if fresh else seq + 1)
            assert not fresh or ticket is None or not ticket.is_open, "never two open tickets of one key"
            assert (step.ticket.state is TicketState.CLOSED) == (step.ticket.outcome is not None)
            assert (step.ticket.closed_at is not None) == (step.ticket.outcome is not None)
            ticket, seq = step.ticket, step.ticket.seq
