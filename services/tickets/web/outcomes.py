"""Words and marks for the states and outcomes of tickets. No outcome without a plan counts as a success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.tickets.domain.ticket import WITHDRAWN, Ticket
from shared.contracts.problems import ProblemReason
from shared.contracts.tickets import TicketOutcome, TicketState

STATES = {
    TicketState.OPEN: "not yet seen",
    TicketState.ACKNOWLEDGED: "seen",
    TicketState.SNOOZED: "snoozed",
    TicketState.CLOSED: "closed",
}
# A check mark is for a change that is shown to work.
MARKS = {
    TicketState.OPEN: "!",
    TicketState.ACKNOWLEDGED: "○",
    TicketState.SNOOZED: "…",
    TicketState.CLOSED: "•",
}
OUTCOMES = {
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "the problem went away by itself",
    TicketOutcome.CHANGED_UNPLANNED: "something was changed without a plan",
    TicketOutcome.ABANDONED: "given up",
    TicketOutcome.WONT_FIX: "nothing will be changed",
}
# What a person may choose.
CHOICES = {
    TicketOutcome.CHANGED_UNPLANNED: "Something was changed, without a plan",
    TicketOutcome.ABANDONED: "The work on it was given up",
    TicketOutcome.WONT_FIX: "Nothing will be changed",
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "The problem went away by itself",
}
# What each means, where the ticket says how it ended.
MEANINGS = {
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "This does not count as a success: nothing was changed, so the problem may"
    " come back.",
    TicketOutcome.CHANGED_UNPLANNED: "What the change did is not known, as nothing was predicted and compared.",
}
OUTCOME_COUNTS = {
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "went away by itself",
    TicketOutcome.CHANGED_UNPLANNED: "changed without a plan",
    TicketOutcome.ABANDONED: "given up",
    TicketOutcome.WONT_FIX: "left as it is",
    TicketOutcome.RETRACTED: "withdrawn",
}


def outcome_words(ticket: Ticket) -> str | None:
    """How the ticket ended: `given up`; None while it is open."""
    if ticket.outcome is TicketOutcome.RETRACTED:
        return WITHDRAWN.get(ticket.problem.reason, WITHDRAWN[ProblemReason.RETRACTED])
    return OUTCOMES[ticket.outcome] if ticket.outcome else None


def closing_reason(ticket: Ticket) -> str | None:
    """What a person wrote when closing it; a withdrawal says its reason as its outcome."""
    return None if ticket.outcome is TicketOutcome.RETRACTED else ticket.closed_because


def outcome_counts(closed: Sequence[Ticket]) -> str:
    """`3 went away by itself, 1 given up`"""
    counts = Counter(ticket.outcome for ticket in closed)
    return ", ".join(f"{counts[outcome]} {OUTCOME_COUNTS[outcome]}" for outcome in TicketOutcome if counts[outcome])
