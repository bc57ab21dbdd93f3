"""A ticket, and one change of it. Pure values.

`open -> acknowledged -> planned -> doing -> verifying -> closed`; `snoozed` always has an end; `closed`, from any
state, has an outcome. `transitions` says which change leads where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from services.tickets.domain.faults import TooLateError
from services.tickets.domain.transitions import is_allowed
from shared import wording
from shared.contracts.problems import ProblemData, ProblemInterval, ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.runtime.read_links import ticket_mark

MARK = re.compile(r"[0-9a-f]{8}")
# Why a problem no longer exists, as its ticket says.
WITHDRAWN = {
    ProblemReason.RETRACTED: "late events show that there was no problem",
    ProblemReason.UNRULED: "the policy no longer checks for this",
}
# What a person may say of a closing; the last only of a problem that is over.
BY_PERSON = (TicketOutcome.CHANGED_UNPLANNED, TicketOutcome.ABANDONED, TicketOutcome.WONT_FIX)
CHOICES = (*BY_PERSON, TicketOutcome.CLEARED_WITHOUT_CHANGE)
VERDICTS = (TicketOutcome.VERIFIED, TicketOutcome.NOT_SHOWN, TicketOutcome.RESTORED)
# Closed though the problem may go on: more of the same interval opens nothing.
DECIDED = (*BY_PERSON, *VERDICTS)
# The system studies what the change does, whether the problem lasts or not.
STUDIED = (TicketState.DOING, TicketState.VERIFYING)
# How a state is called in a refusal.
_NOW = {TicketState.DOING: "being changed", TicketState.VERIFYING: "being verified"}
_UNTIL_DECIDED: dict[str, Any] = {"plan": None, "change_date": None, "decision": None}
OPENED: dict[str, Any] = {
    "state": TicketState.OPEN,
    "outcome": None,
    "closed_at": None,
    "closed_because": None,
    "snoozed_until": None,
}


@dataclass(frozen=True)
class Stand:
    """Where a ticket stood before a person's last change, so that it can be undone."""

    state: TicketState
    outcome: TicketOutcome | None
    closed_at: datetime | None
    closed_because: str | None
    snoozed_until: datetime | None
    cycle: int = 1
    plan: int | None = None
    change_date: date | None = None
    decision: TicketChange | None = None


@dataclass(frozen=True)
class Ticket:
    """A ticket. `id` 0: not saved yet. `problem`: the newest interval that belongs to it.

    `closed_because`: the reason of the closing. `before`: set while a person's change is the last one. `cycle`: of
    plan, change and study. `plan`: the number of the cycle's seal that is in force, or was studied. `decision`: adopted
    or dropped, after a verdict. `issue`: address of its issue in Jira.
    """

    id: int
    key: str
    state: TicketState
    seq: int
    opened_at: datetime
    changed_at: datetime
    problem: ProblemData
    outcome: TicketOutcome | None = None
    closed_at: datetime | None = None
    closed_because: str | None = None
    snoozed_until: datetime | None = None
    before: Stand | None = None
    cycle: int = 1
    plan: int | None = None
    change_date: date | None = None
    decision: TicketChange | None = None
    issue: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state is not TicketState.CLOSED

    @property
    def goes_on(self) -> bool:
        """Whether the problem lasts, as far as its messages say. Of one that no message ends, nobody knows."""
        if wording.of(self.problem.kind).ends_by_person:
            return False
        return self.problem.cleared_at is None and self.problem.reason not in WITHDRAWN

    @property
    def has_verdict(self) -> bool:
        """Whether a study closed it."""
        return self.outcome in VERDICTS

    @property
    def mark(self) -> str:
        """Stands for what the ticket is about. Numbers are given again after the database was set back; this is not."""
        return ticket_mark(self.key, self.opened_at)

    @property
    def stand(self) -> Stand:
        return Stand(
            self.state,
            self.outcome,
            self.closed_at,
            self.closed_because,
            self.snoozed_until,
            self.cycle,
            self.plan,
            self.change_date,
            self.decision,
        )


@dataclass(frozen=True)
class TicketStep:
    """One change, and the ticket after it. `was`: the interval that it showed before, where that was another.

    `before`: the ticket's state before the change; None: the change opens it.
    """

    change: TicketChange
    ticket: Ticket
    at: datetime
    actor: Actor = Actor.SYSTEM
    reason: str | None = None
    was: ProblemInterval | None = None
    before: TicketState | None = None


def begin(problem: ProblemData, at: datetime) -> TicketStep:
    """Open a new ticket."""
    fresh = Ticket(0, problem.key, TicketState.OPEN, 1, at, at, problem)
    return TicketStep(TicketChange.OPENED, fresh, at)


def advance(
    ticket: Ticket,
    change: TicketChange,
    at: datetime,
    reason: str | None = None,
    actor: Actor = Actor.SYSTEM,
    **fields: Any,
) -> TicketStep:
    """The next change. What a person did before it can no longer be undone.

    Raises TooLateError where a ticket in this state does not make such a change.
    """
    fields = {"seq": ticket.seq + 1, "changed_at": at, "before": None} | fields
    after = replace(ticket, **fields)  # type: ignore[arg-type]
    if not is_allowed(ticket.state, change, after.state):
        raise TooLateError(f"The ticket is {_NOW.get(ticket.state, ticket.state)}; it cannot be {change}.")
    return TicketStep(change, after, at, actor, reason, _shown_before(ticket, after.problem), ticket.state)


def undoable(ticket: Ticket, change: TicketChange, now: datetime, reason: str | None, **fields: Any) -> TicketStep:
    """A person's change, which can be undone until the ticket changes again."""
    return advance(ticket, change, now, reason, Actor.PERSON, before=ticket.stand, **fields)


def closing(ticket: Ticket, outcome: TicketOutcome, at: datetime, reason: str | None) -> dict[str, Any]:
    """What a closing sets. A plan whose change has not begun ends with it; one that has stays to be seen."""
    ended = _UNTIL_DECIDED if ticket.state is TicketState.PLANNED else {}
    return ended | {
        "state": TicketState.CLOSED,
        "outcome": outcome,
        "closed_at": at,
        "closed_because": reason,
        "snoozed_until": None,
    }


def reopening(ticket: Ticket, state: TicketState) -> dict[str, Any]:
    """What a reopening sets. After a change that began, the next cycle follows."""
    return OPENED | _UNTIL_DECIDED | {"state": state, "cycle": ticket.cycle + (ticket.plan is not None)}


def is_of_interval(ticket: Ticket, problem: ProblemData) -> bool:
    """Whether the message is about the interval that the ticket has."""
    was = problem.was.opened_at if problem.was is not None else problem.opened_at
    return ticket.problem.opened_at in (was, problem.opened_at)


def _shown_before(ticket: Ticket, problem: ProblemData) -> ProblemInterval | None:
    """The interval that the ticket showed, where late events moved it; None where it only ended, or is a new one."""
    shown = ticket.problem
    is_moved = problem.opened_at != shown.opened_at
    is_end_moved = shown.cleared_at is not None and problem.cleared_at != shown.cleared_at
    if not (is_moved or is_end_moved) or not is_of_interval(ticket, problem):
        return None
    return ProblemInterval(opened_at=shown.opened_at, cleared_at=shown.cleared_at, peak=shown.peak)
