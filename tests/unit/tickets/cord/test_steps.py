"""A pull opens the ticket of its cord, adds to it, wakes it, or reopens it; nothing but a person or a study ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.tickets.cord.problem import PullFacts
from services.tickets.cord.pull import Pull
from services.tickets.cord.stage_numbers import NOT_MEASURED
from services.tickets.cord.steps import has_to_wait, steps_of
from services.tickets.domain import commands
from services.tickets.domain.ticket import Ticket
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import Actor, TicketOutcome, TicketState
from tests.support.problems import day

FORTNIGHT = timedelta(days=14)


def facts(at: float, seen: str = "It waits", deal: EvidenceDeal | None = None) -> PullFacts:
    return PullFacts("new", "proposal", Pull(seen), day(at), NOT_MEASURED, "1-x", deal)


def pulled(ticket: Ticket | None, at: float, seen: str = "It waits") -> tuple[Ticket, list[str]]:
    steps = steps_of(ticket, facts(at, seen), FORTNIGHT)
    assert {step.actor for step in steps} == {Actor.SYSTEM}
    return replace(steps[-1].ticket, id=1), [step.change.value for step in steps]


def closed(ticket: Ticket, at: float) -> Ticket:
    return commands.close(ticket, TicketOutcome.ABANDONED, "no money", day(at)).ticket


def test_the_first_pull_opens_a_ticket_and_the_next_ones_add_to_it() -> None:
    ticket, first = pulled(None, 0)
    ticket, second = pulled(ticket, 1, "It waits again")

    assert (first, second) == (["opened"], ["pulled"])
    assert (ticket.key, ticket.state, ticket.seq) == ("cord/new/proposal", TicketState.OPEN, 2)
    assert ticket.opened_at == day(0)
    problem = ticket.problem
    assert (problem.count, problem.peak, problem.opened_at) == (2, 2, day(0))
    assert problem.cord is not None
    assert problem.cord.seen == "It waits again"


def test_each_change_says_what_was_seen() -> None:
    first = steps_of(None, facts(0, "It waits"), FORTNIGHT)[0]

    assert first.reason == "It waits"


@pytest.mark.parametrize(("at", "change", "number"), [(15.9, "reopened", 3), (16.1, "opened", 1)])
def test_a_pull_soon_after_the_closing_reopens_the_ticket(at: float, change: str, number: int) -> None:
    ticket, changes = pulled(closed(pulled(None, 0)[0], 2), at)

    assert (changes, ticket.seq, ticket.state) == ([change], number, TicketState.OPEN)
    assert ticket.problem.count == 1


@pytest.mark.parametrize("outcome", [TicketOutcome.ABANDONED, TicketOutcome.CLEARED_WITHOUT_CHANGE])
def test_a_pull_counts_while_the_clock_stands_still(outcome: TicketOutcome) -> None:
    opened = pulled(None, 0)[0]
    ended = commands.close(opened, outcome, "no money", day(0)).ticket

    ticket, changes = pulled(ended, 0, "It waits again")

    assert (changes, ticket.state, ticket.problem.count) == (["reopened"], TicketState.OPEN, 1)


def test_a_pull_wakes_a_snoozed_ticket() -> None:
    snoozed = commands.snooze(pulled(None, 0)[0], day(9), day(1)).ticket

    ticket, changes = pulled(snoozed, 2)

    assert (changes, ticket.state, ticket.snoozed_until) == (["pulled", "woke"], TicketState.OPEN, None)


def test_a_ticket_that_somebody_works_on_stays_where_it_is() -> None:
    acknowledged = commands.acknowledge(pulled(None, 0)[0], day(1)).ticket

    ticket, changes = pulled(acknowledged, 2)

    assert (changes, ticket.state) == (["pulled"], TicketState.ACKNOWLEDGED)
    assert [has_to_wait(one) for one in (None, acknowledged, pulled(None, 0)[0], closed(ticket, 3))] == [
        True,
        False,
        True,
        True,
    ]


def test_it_closes_without_a_second_question_as_no_number_says_that_it_goes_on() -> None:
    ticket, _ = pulled(None, 0)

    assert not ticket.goes_on
    assert closed(ticket, 1).outcome is TicketOutcome.ABANDONED
    by_itself = commands.close(ticket, TicketOutcome.CLEARED_WITHOUT_CHANGE, "gone", day(1)).ticket
    assert by_itself.outcome is TicketOutcome.CLEARED_WITHOUT_CHANGE


def test_deals_that_are_known_become_evidence_each_once() -> None:
    ticket = None
    for n in [*range(12), 11]:
        deal = EvidenceDeal(deal=f"crm:{n}", entered_at=day(-n), age_seconds=n * 86_400.0)
        ticket = replace(steps_of(ticket, facts(n, deal=deal), FORTNIGHT)[-1].ticket, id=1)

    assert ticket is not None
    assert ticket.problem.evidence is not None
    assert [one.deal for one in ticket.problem.evidence.worst] == [f"crm:{n}" for n in range(11, 1, -1)]
    assert ticket.problem.evidence.total == 10
