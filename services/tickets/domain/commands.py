"""What people ask of a ticket, beside its plan. Pure: values in, a step out; NotPossibleError for what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.tickets.domain.faults import (
    AlreadyDone,
    ChangedMeanwhileError,
    NotPossibleError,
    TooLateError,
    UnconfirmedError,
)
from services.tickets.domain.ticket import (
    BY_PERSON,
    CHOICES,
    STUDIED,
    WITHDRAWN,
    Ticket,
    TicketStep,
    advance,
    closing,
    reopening,
    undoable,
)
from services.tickets.domain.transitions import is_allowed
from services.tickets.domain.typed import trimmed
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState

MAX_SNOOZE = timedelta(days=92)
# What ends with a ticket that is closed in this state.
_ENDS = {
    TicketState.PLANNED: "Its plan ends unused.",
    TicketState.DOING: "Its change will not be studied.",
    TicketState.VERIFYING: "The study of its change ends without a verdict.",
}


def run(ticket: Ticket, version: int, command: Callable[[], TicketStep]) -> TicketStep:
    """Run a person's command that was made from `version` of the ticket. What is asked for already changes nothing.

    Raises ChangedMeanwhileError if the ticket has changed since: nothing is overridden unseen.
    """
    try:
        step = command()
    except UnconfirmedError:
        if version == ticket.seq:
            raise
        step = None
    if step is None or version != ticket.seq:
        raise ChangedMeanwhileError("The ticket has changed since you opened the page.")
    return step


def acknowledge(ticket: Ticket, now: datetime) -> TicketStep:
    """Somebody takes care of it."""
    if ticket.state is TicketState.ACKNOWLEDGED:
        raise AlreadyDone("The ticket is already acknowledged.")
    if not is_allowed(ticket.state, TicketChange.ACKNOWLEDGED, TicketState.ACKNOWLEDGED):
        raise TooLateError(f"The ticket is {ticket.state}; nothing is left to acknowledge.")
    return undoable(ticket, TicketChange.ACKNOWLEDGED, now, None, state=TicketState.ACKNOWLEDGED, snoozed_until=None)


def snooze(ticket: Ticket, until: datetime, now: datetime) -> TicketStep:
    """Snooze it until an instant, when it wakes by itself."""
    if ticket.snoozed_until == until:
        raise AlreadyDone("The ticket is already snoozed until then.")
    snoozed = undoable(ticket, TicketChange.SNOOZED, now, None, state=TicketState.SNOOZED, snoozed_until=until)
    if not now < until <= now + MAX_SNOOZE:
        raise NotPossibleError("Choose a day after today and within three months.", "until")
    return snoozed


def close(
    ticket: Ticket, outcome: TicketOutcome | None, reason: str, now: datetime, is_confirmed: bool = False
) -> TicketStep:
    """Close it with the outcome that a person gives, and a reason.

    Needs confirmation where the problem goes on, and where a plan or its study ends with it.
    """
    reason = trimmed(reason)
    if not ticket.is_open:
        if (outcome, reason) == (ticket.outcome, ticket.closed_because):
            raise AlreadyDone("The ticket is closed already, as you asked.")
        raise TooLateError("The ticket is closed already.")
    if outcome not in CHOICES:
        raise NotPossibleError("Choose how the work on it ended.", "outcome")
    if outcome not in BY_PERSON and ticket.goes_on:
        raise NotPossibleError("The problem has not gone away; choose another outcome.", "outcome")
    if outcome not in BY_PERSON and ticket.state in STUDIED:
        raise NotPossibleError("A change was made, so it did not go away by itself; choose another outcome.", "outcome")
    if not reason:
        raise NotPossibleError("Write why, so that whoever meets this problem next can learn from it.", "reason")
    if (ends := _ends_with(ticket)) and not is_confirmed:
        raise UnconfirmedError(ends)
    return undoable(ticket, TicketChange.CLOSED, now, reason, **closing(ticket, outcome, now, reason))


def reopen(ticket: Ticket, reason: str, now: datetime, is_newest: bool) -> TicketStep:
    """Open a closed ticket again: somebody works on it. `is_newest`: of the tickets of its problem."""
    reason = trimmed(reason)
    if ticket.is_open:
        raise AlreadyDone("The ticket is open.")
    if not is_newest:
        raise TooLateError("A newer ticket of this problem exists; work on that one.")
    if ticket.problem.reason in WITHDRAWN:
        raise TooLateError(f"Nothing is left to work on: {WITHDRAWN[ticket.problem.reason]}.")
    if not reason:
        raise NotPossibleError("Write why you reopen it, so that others can follow.", "reason")
    return undoable(ticket, TicketChange.REOPENED, now, reason, **reopening(ticket, TicketState.ACKNOWLEDGED))


def undo(ticket: Ticket, now: datetime, is_newest: bool) -> TicketStep:
    """Undo a person's last change: the ticket is in its state of before."""
    before = ticket.before
    if before is None:
        raise TooLateError("Nothing is left to undo: the ticket has changed since.")
    if before.state is not TicketState.CLOSED and not is_newest:
        raise TooLateError("A newer ticket of this problem exists; work on that one.")
    fields = vars(before)
    if before.snoozed_until is not None and before.snoozed_until <= now:
        fields = fields | {"state": TicketState.OPEN, "snoozed_until": None}
    return advance(ticket, TicketChange.UNDONE, now, None, Actor.PERSON, **fields)


def link(ticket: Ticket, issue: str, now: datetime) -> TicketStep:
    """Link it to an issue in Jira, by its address; empty: to none any more."""
    if issue == (ticket.issue or ""):
        raise AlreadyDone("The ticket is linked like that already.")
    return advance(ticket, TicketChange.LINKED, now, issue or None, Actor.PERSON, issue=issue or None)


def _ends_with(ticket: Ticket) -> str:
    """What a closing cuts short; empty: nothing."""
    goes_on = "The problem goes on." if ticket.goes_on else ""
    return " ".join(text for text in (goes_on, _ENDS.get(ticket.state, "")) if text)
