"""What people do with a plan: seal it, move its change date, start, withdraw, and decide after the verdict. Pure.

`today`: the day in the policy's zone. Until the change date has come a plan may be moved or withdrawn; from then on the
system studies it. A seal is not undone: it is withdrawn, with a reason.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from services.tickets.domain.faults import AlreadyDone, NotPossibleError, TooLateError
from services.tickets.domain.ticket import WITHDRAWN, Ticket, TicketStep, advance, reopening, undoable
from services.tickets.domain.typed import trimmed
from shared.contracts.tickets import Actor, TicketChange, TicketState

LONGEST_WAIT = timedelta(days=366)
DECISIONS = (TicketChange.ADOPTED, TicketChange.ADAPTED, TicketChange.DROPPED)


def seal(ticket: Ticket, number: int, change_date: date, now: datetime) -> TicketStep:
    """Put the seal with this number in force."""
    if ticket.state is TicketState.PLANNED:
        raise AlreadyDone("The plan is sealed already.")
    planned = {"state": TicketState.PLANNED, "plan": number, "change_date": change_date}
    return advance(ticket, TicketChange.PLANNED, now, None, Actor.PERSON, **planned)


def reschedule(
    ticket: Ticket, number: int, change_date: date | None, reason: str, now: datetime, today: date
) -> TicketStep:
    """Put the seal with this number in force, which has another change date."""
    if ticket.change_date is not None and change_date == ticket.change_date:
        raise AlreadyDone("The change date is that day already.")
    moved = {"plan": number, "change_date": change_date}
    step = advance(ticket, TicketChange.RESCHEDULED, now, trimmed(reason), Actor.PERSON, **moved)
    _check_not_begun(ticket, today, "moved")
    if fault := date_fault(change_date, today):
        raise NotPossibleError(fault, "change_date")
    _check_reason(reason, "Write why the change date moves.")
    return step


def start(ticket: Ticket, now: datetime, today: date) -> TicketStep:
    """Begin to carry the plan out."""
    if ticket.state is TicketState.DOING:
        raise AlreadyDone("The change is under way already.")
    step = undoable(ticket, TicketChange.STARTED, now, None, state=TicketState.DOING)
    _check_not_begun(ticket, today, "started")
    return step


def withdraw(ticket: Ticket, reason: str, now: datetime, today: date) -> TicketStep:
    """Give the plan up before its change; the ticket may get another one."""
    fields = {"state": TicketState.ACKNOWLEDGED, "plan": None, "change_date": None}
    step = advance(ticket, TicketChange.WITHDRAWN, now, trimmed(reason), Actor.PERSON, **fields)
    _check_not_begun(ticket, today, "withdrawn")
    _check_reason(reason, "Write why the plan is withdrawn.")
    return step


def decide(ticket: Ticket, decision: TicketChange | None, reason: str, now: datetime, is_newest: bool) -> TicketStep:
    """Act on a verdict: adopt the change, adapt it in a next cycle of this ticket, or drop it.

    `is_newest`: of the tickets of its problem.
    """
    if not ticket.has_verdict:
        raise TooLateError("The ticket has no verdict to decide on.")
    if decision not in DECISIONS:
        raise NotPossibleError("Choose whether to adopt, adapt or drop the change.", "decision")
    if decision is ticket.decision:
        raise AlreadyDone(f"The change is {decision} already.")
    if decision is TicketChange.ADAPTED:
        return _adapt(ticket, reason, now, is_newest)
    if decision is TicketChange.DROPPED:
        _check_reason(reason, "Write why the change is dropped.")
    return advance(ticket, decision, now, trimmed(reason) or None, Actor.PERSON, decision=decision)


def date_fault(change_date: date | None, today: date) -> str:
    """What is wrong with a change date; empty: nothing."""
    first, last = today + timedelta(days=1), today + LONGEST_WAIT
    if change_date is None:
        return "Choose the day from which the change is in force."
    if not first <= change_date <= last:
        return f"{change_date} is not within {first} to {last}; choose a day after today and within a year."
    return ""


def has_come(change_date: date | None, today: date) -> bool:
    """Whether the change takes place."""
    return change_date is not None and change_date <= today


def _adapt(ticket: Ticket, reason: str, now: datetime, is_newest: bool) -> TicketStep:
    if not is_newest:
        raise TooLateError("A newer ticket of this problem exists; plan the next cycle on that one.")
    if ticket.problem.reason in WITHDRAWN:
        raise TooLateError(f"Nothing is left to work on: {WITHDRAWN[ticket.problem.reason]}.")
    fields = reopening(ticket, TicketState.ACKNOWLEDGED)
    return advance(ticket, TicketChange.ADAPTED, now, trimmed(reason) or None, Actor.PERSON, **fields)


def _check_not_begun(ticket: Ticket, today: date, done: str) -> None:
    if has_come(ticket.change_date, today):
        raise TooLateError(f"The change date {ticket.change_date} has come: the plan can no longer be {done}.")


def _check_reason(reason: str, ask: str) -> None:
    if not trimmed(reason):
        raise NotPossibleError(ask, "reason")
