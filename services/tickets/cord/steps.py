"""What a pull does to the newest ticket of its stage's cord. Pure.

It adds to an open ticket and wakes a snoozed one; else it reopens the one that closed a short while ago, or opens one.
No count ends such a ticket: a person closes it, or the study of its plan does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.tickets.cord.problem import PullFacts, problem_of
from services.tickets.cord.pull import words_of
from services.tickets.domain.lifecycle import open_or_reopen
from services.tickets.domain.ticket import Ticket, TicketStep, advance
from shared.contracts.tickets import TicketChange, TicketState

# Nobody has begun to work on the ticket.
UNANSWERED = (TicketState.OPEN, TicketState.SNOOZED)


def steps_of(last: Ticket | None, facts: PullFacts, reopen_within: timedelta) -> list[TicketStep]:
    """The changes, of which the first one is the pull. `last`: the newest ticket of the cord."""
    if last is None or not last.is_open:
        # Even at the instant at which the ticket was opened or closed: the clock of a log may stand still.
        begun = open_or_reopen(last, problem_of(facts, None), reopen_within)
        return [replace(begun, reason=words_of(facts.pull))]
    pulled = advance(last, TicketChange.PULLED, facts.at, words_of(facts.pull), problem=problem_of(facts, last))
    if last.state is not TicketState.SNOOZED:
        return [pulled]
    woken = advance(pulled.ticket, TicketChange.WOKE, facts.at, state=TicketState.OPEN, snoozed_until=None)
    return [pulled, woken]


def has_to_wait(last: Ticket | None) -> bool:
    """Whether somebody still has to see what is pulled now: nobody is at work on the ticket."""
    return last is None or not last.is_open or last.state in UNANSWERED
