"""What problems and time do to a ticket. Pure: values in, steps out.

A problem that clears closes its ticket, unless a change is under way: then the study of the change decides.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from services.tickets.domain.ticket import (
    DECIDED,
    STUDIED,
    WITHDRAWN,
    Ticket,
    TicketStep,
    advance,
    begin,
    closing,
    is_of_interval,
    reopening,
)
from shared.contracts.problems import Mode, ProblemData, ProblemReason
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState

LATE = "late events changed it"


def on_problem(last: Ticket | None, problem: ProblemData, reopen_within: timedelta) -> list[TicketStep]:
    """The changes that a message about a problem makes to the newest ticket of its key."""
    if problem.historic:
        return []
    if last is not None and not last.is_open and _ends_or_moves(last, problem):
        return _revise_closed(last, problem)
    if problem.reason in WITHDRAWN:
        return _withdraw(last, problem)
    if problem.mode is not Mode.ACTIVE and problem.cleared_at is None:
        # Monitored only. A ticket opened before the policy changed still closes with its problem.
        return []
    if last is not None and last.is_open:
        return _continue(last, problem)
    if problem.cleared_at is not None or (last is not None and _is_decided(last, problem)):
        return []
    return [open_or_reopen(last, problem, reopen_within)]


def open_or_reopen(last: Ticket | None, problem: ProblemData, reopen_within: timedelta) -> TicketStep:
    """Reopen a ticket that closed a short while ago; else open a new one."""
    at = problem.opened_at
    if last is not None and last.closed_at is not None and at <= last.closed_at + reopen_within:
        return advance(last, TicketChange.REOPENED, at, problem=problem, **reopening(last, TicketState.OPEN))
    return begin(problem, at)


def _is_decided(last: Ticket, problem: ProblemData) -> bool:
    """Whether a person or a verdict closed the ticket of this same interval: changes to it open no ticket."""
    return last.outcome in DECIDED and is_of_interval(last, problem)


def _ends_or_moves(closed: Ticket, problem: ProblemData) -> bool:
    """Whether the interval of a closed ticket ends, or is other than the ticket shows, and no ticket is to open."""
    if closed.outcome is TicketOutcome.RETRACTED or not is_of_interval(closed, problem):
        return False
    if problem.reason in WITHDRAWN:
        return closed.problem.reason not in WITHDRAWN
    is_other = (problem.opened_at, problem.cleared_at) != (closed.problem.opened_at, closed.problem.cleared_at)
    return is_other and (problem.cleared_at is not None or closed.outcome in DECIDED)


def _revise_closed(closed: Ticket, problem: ProblemData) -> list[TicketStep]:
    """Update what the closed ticket says of its problem; it stays closed."""
    if problem.reason in WITHDRAWN:
        ended = closed.problem.model_copy(update={"reason": problem.reason})
        return [advance(closed, TicketChange.UPDATED, problem.detected_at, WITHDRAWN[problem.reason], problem=ended)]
    reason = "the problem is over" if closed.goes_on and problem.cleared_at else LATE
    at = problem.cleared_at if closed.goes_on and problem.cleared_at else problem.detected_at
    return [advance(closed, TicketChange.UPDATED, at, reason, problem=problem)]


def _continue(ticket: Ticket, problem: ProblemData) -> list[TicketStep]:
    """Add to an open ticket, or close it with its problem."""
    if not is_of_interval(ticket, problem):
        if problem.opened_at < ticket.problem.opened_at or problem.cleared_at is not None:
            return []
        return [advance(ticket, TicketChange.UPDATED, problem.opened_at, "the problem opened again", problem=problem)]
    if problem.cleared_at is not None:
        return _clear(ticket, problem, problem.cleared_at)
    if problem.reason is ProblemReason.GREW:
        return [advance(ticket, TicketChange.GREW, problem.detected_at, f"to {problem.peak}", problem=problem)]
    if problem.reason is ProblemReason.REVISED and not _is_unchanged(problem):
        return [advance(ticket, TicketChange.UPDATED, problem.detected_at, LATE, problem=problem)]
    return []


def _clear(ticket: Ticket, problem: ProblemData, at: datetime) -> list[TicketStep]:
    """Close a ticket whose problem went away. One that was over before, and that a person opened again, stays open."""
    if not ticket.goes_on:
        return [advance(ticket, TicketChange.UPDATED, problem.detected_at, LATE, problem=problem)]
    cleared = advance(ticket, TicketChange.CLEARED, at, problem=problem)
    if ticket.state in STUDIED:
        return [cleared]
    return [cleared, _close(cleared.ticket, TicketOutcome.CLEARED_WITHOUT_CHANGE, at)]


def _is_unchanged(problem: ProblemData) -> bool:
    """Whether a revision changed only the mode of the rule."""
    was = problem.was
    return was is not None and dict(was) == {name: getattr(problem, name) for name in type(was).model_fields}


def _withdraw(last: Ticket | None, problem: ProblemData) -> list[TicketStep]:
    """Close the ticket, which keeps its problem as last known, and say why the problem no longer exists."""
    if last is None or not last.is_open or not is_of_interval(last, problem):
        return []
    ended = replace(last, problem=last.problem.model_copy(update={"reason": problem.reason}))
    return [_close(ended, TicketOutcome.RETRACTED, problem.detected_at, WITHDRAWN[problem.reason])]


def follow(closed: Ticket, problem: ProblemData) -> Ticket:
    """A ticket that a person or a verdict closed, with the newest facts of its interval; it stays closed."""
    if closed.outcome not in DECIDED or problem.historic or problem.reason in WITHDRAWN:
        return closed
    if not is_of_interval(closed, problem):
        return closed
    return replace(closed, problem=problem)


def wake(ticket: Ticket, now: datetime) -> TicketStep | None:
    """End a snooze that is over. None where it is not, or where the ticket is not snoozed."""
    if ticket.state is not TicketState.SNOOZED or ticket.snoozed_until is None or now < ticket.snoozed_until:
        return None
    return advance(ticket, TicketChange.WOKE, ticket.snoozed_until, state=TicketState.OPEN, snoozed_until=None)


def _close(ticket: Ticket, outcome: TicketOutcome, at: datetime, reason: str | None = None) -> TicketStep:
    return advance(ticket, TicketChange.CLOSED, at, reason, **closing(ticket, outcome, at, reason))
