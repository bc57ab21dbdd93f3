"""What the system does once a change date has come: study, verdict, and what becomes of the gain. Pure."""

from __future__ import annotations

from datetime import datetime

from services.tickets.domain.faults import TooLateError
from services.tickets.domain.ticket import (
    OPENED,
    VERDICTS,
    WITHDRAWN,
    Ticket,
    TicketStep,
    advance,
    closing,
    reopening,
)
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.flow.statistics.held_gain import Hold

_GAIN = {
    Hold.HELD: TicketChange.HELD,
    Hold.FADING: TicketChange.FADING,
    Hold.DECAYED: TicketChange.DECAYED,
}


def begin_study(ticket: Ticket, at: datetime) -> TicketStep:
    """The change date has come, whether somebody said that the work began or not."""
    if ticket.state is TicketState.CLOSED:
        raise TooLateError("The ticket is closed; no study begins.")
    return advance(ticket, TicketChange.VERIFYING, at, state=TicketState.VERIFYING)


def conclude(ticket: Ticket, outcome: TicketOutcome, reason: str | None, at: datetime) -> TicketStep:
    """Close the ticket with the verdict of its study, or, after late events, with another verdict."""
    if outcome not in VERDICTS or not (ticket.state is TicketState.VERIFYING or ticket.has_verdict):
        raise TooLateError(f"The ticket is {ticket.outcome or ticket.state}; {outcome} is no verdict for it.")
    fields = closing(ticket, outcome, ticket.closed_at or at, reason)
    return advance(ticket, TicketChange.VERDICT, at, reason, **fields)


def resume_study(ticket: Ticket, reason: str, at: datetime) -> TicketStep:
    """Late events took the verdict back: the study goes on. Only of the newest ticket of its problem."""
    if not ticket.has_verdict:
        raise TooLateError("The ticket has no verdict that could be taken back.")
    fields = OPENED | {"state": TicketState.VERIFYING, "decision": None}
    return advance(ticket, TicketChange.VERIFYING, at, reason, **fields)


def follow_gain(
    ticket: Ticket, cycle: int, hold: Hold, reason: str | None, at: datetime, *, is_newest: bool
) -> list[TicketStep]:
    """Say what became of the gain of a cycle. Where it is lost, the ticket opens again for the next cycle.

    It does not where the change was dropped, where the problem never was, and where the ticket, or a newer one of its
    problem, is worked on already.
    """
    if hold not in _GAIN:
        return []
    noted = advance(ticket, _GAIN[hold], at, reason)
    is_kept = ticket.decision is not TicketChange.DROPPED and ticket.problem.reason not in WITHDRAWN
    is_waiting = ticket.has_verdict and ticket.cycle == cycle and is_kept
    if hold is not Hold.DECAYED or not (is_waiting and is_newest):
        return [noted]
    return [noted, reopen_lost_gain(noted.ticket, reason, at)]


def reopen_lost_gain(ticket: Ticket, reason: str | None, at: datetime) -> TicketStep:
    """Open a ticket again whose gain is lost."""
    return advance(ticket, TicketChange.REOPENED, at, reason, **reopening(ticket, TicketState.OPEN))
