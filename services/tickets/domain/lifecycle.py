"""The life of a ticket: what problems and people change about it. Pure: values in, steps out.

`open -> acknowledged`; `snoozed` always has an end; `closed`, from any state, has an outcome. A person may reopen a
closed ticket, or undo a person's last change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.tickets.domain.faults import (
    AlreadyDone,
    ChangedMeanwhileError,
    NotPossibleError,
    TooLateError,
    UnconfirmedError,
)
from shared.contracts.problems import Mode, ProblemData, ProblemInterval, ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.runtime.instants import micros

MAX_SNOOZE = timedelta(days=92)
# Why a problem no longer exists, as its ticket says.
WITHDRAWN = {
    ProblemReason.RETRACTED: "late events show that there was no problem",
    ProblemReason.UNRULED: "the policy no longer checks for this",
}
LATE = "late events changed it"
# What a person may say of a closing; the last only of a problem that is over.
BY_PERSON = (TicketOutcome.CHANGED_UNPLANNED, TicketOutcome.ABANDONED, TicketOutcome.WONT_FIX)
CHOICES = (*BY_PERSON, TicketOutcome.CLEARED_WITHOUT_CHANGE)


MARK = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Stand:
    """Where a ticket stood before a person's last change, so that it can be undone."""

    state: TicketState
    outcome: TicketOutcome | None
    closed_at: datetime | None
    closed_because: str | None
    snoozed_until: datetime | None


@dataclass(frozen=True)
class Ticket:
    """A ticket. `id` 0: not saved yet. `problem`: the newest interval that belongs to it.

    `closed_because`: the reason of the closing. `before`: set while a person's change is the last one.
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

    @property
    def is_open(self) -> bool:
        return self.state is not TicketState.CLOSED

    @property
    def goes_on(self) -> bool:
        """Whether the problem lasts, as far as its messages say."""
        return self.problem.cleared_at is None and self.problem.reason not in WITHDRAWN

    @property
    def mark(self) -> str:
        """Stands for what the ticket is about. Numbers are given again after the database was set back; this is not."""
        return hashlib.sha256(f"{self.key}\n{micros(self.opened_at)}".encode()).hexdigest()[:8]

    @property
    def stand(self) -> Stand:
        return Stand(self.state, self.outcome, self.closed_at, self.closed_because, self.snoozed_until)


@dataclass(frozen=True)
class TicketStep:
    """One change, and the ticket after it. `was`: the interval that it showed before, where that was another."""

    change: TicketChange
    ticket: Ticket
    at: datetime
    actor: Actor = Actor.SYSTEM
    reason: str | None = None
    was: ProblemInterval | None = None


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
    if problem.cleared_at is not None or (last is not None and _is_closed_by_person(last, problem)):
        return []
    return [_begin(last, problem, reopen_within)]


def _begin(last: Ticket | None, problem: ProblemData, reopen_within: timedelta) -> TicketStep:
    """Reopen a ticket that closed a short while ago; else open a new one."""
    at = problem.opened_at
    if last is not None and last.closed_at is not None and at <= last.closed_at + reopen_within:
        return _step(last, TicketChange.REOPENED, at, problem=problem, **_OPEN)
    fresh = Ticket(0, problem.key, TicketState.OPEN, 1, at, at, problem)
    return TicketStep(TicketChange.OPENED, fresh, at)


def _is_closed_by_person(last: Ticket, problem: ProblemData) -> bool:
    """Whether a person closed the ticket of this same interval: changes to it open no ticket."""
    return last.outcome in BY_PERSON and _is_of_interval(last, problem)


def _ends_or_moves(closed: Ticket, problem: ProblemData) -> bool:
    """Whether the interval of a closed ticket ends, or is other than the ticket shows, and no ticket is to open."""
    if closed.outcome is TicketOutcome.RETRACTED or not _is_of_interval(closed, problem):
        return False
    if problem.reason in WITHDRAWN:
        return closed.problem.reason not in WITHDRAWN
    is_other = (problem.opened_at, problem.cleared_at) != (closed.problem.opened_at, closed.problem.cleared_at)
    return is_other and (problem.cleared_at is not None or closed.outcome in BY_PERSON)


def _revise_closed(closed: Ticket, problem: ProblemData) -> list[TicketStep]:
    """Update what the closed ticket says of its problem; it stays closed."""
    if problem.reason in WITHDRAWN:
        ended = closed.problem.model_copy(update={"reason": problem.reason})
        return [_step(closed, TicketChange.UPDATED, problem.detected_at, WITHDRAWN[problem.reason], problem=ended)]
    reason = "the problem is over" if closed.goes_on and problem.cleared_at else LATE
    at = problem.cleared_at if closed.goes_on and problem.cleared_at else problem.detected_at
    return [_step(closed, TicketChange.UPDATED, at, reason, problem=problem)]


def _continue(ticket: Ticket, problem: ProblemData) -> list[TicketStep]:
    """Add to an open ticket, or close it with its problem."""
    if not _is_of_interval(ticket, problem):
        if problem.opened_at < ticket.problem.opened_at or problem.cleared_at is not None:
            return []
        return [_step(ticket, TicketChange.UPDATED, problem.opened_at, "the problem opened again", problem=problem)]
    if problem.cleared_at is not None:
        return _clear(ticket, problem, problem.cleared_at)
    if problem.reason is ProblemReason.GREW:
        return [_step(ticket, TicketChange.GREW, problem.detected_at, f"to {problem.peak}", problem=problem)]
    if problem.reason is ProblemReason.REVISED and not _is_unchanged(problem):
        return [_step(ticket, TicketChange.UPDATED, problem.detected_at, LATE, problem=problem)]
    return []


def _clear(ticket: Ticket, problem: ProblemData, at: datetime) -> list[TicketStep]:
    """Close a ticket whose problem went away; one that was over before, and that a person opened again, stays open."""
    if not ticket.goes_on:
        return [_step(ticket, TicketChange.UPDATED, problem.detected_at, LATE, problem=problem)]
    cleared = _step(ticket, TicketChange.CLEARED, at, problem=problem)
    return [cleared, _close(cleared.ticket, TicketOutcome.CLEARED_WITHOUT_CHANGE, at)]


def _is_unchanged(problem: ProblemData) -> bool:
    """Whether a revision changed only the mode of the rule."""
    was = problem.was
    return was is not None and dict(was) == {name: getattr(problem, name) for name in type(was).model_fields}


def _withdraw(last: Ticket | None, problem: ProblemData) -> list[TicketStep]:
    """Close the ticket, which keeps its problem as last known, and say why the problem no longer exists."""
    if last is None or not last.is_open or not _is_of_interval(last, problem):
        return []
    ended = replace(last, problem=last.problem.model_copy(update={"reason": problem.reason}))
    return [_close(ended, TicketOutcome.RETRACTED, problem.detected_at, Actor.SYSTEM, WITHDRAWN[problem.reason])]


def _is_of_interval(ticket: Ticket, problem: ProblemData) -> bool:
    """Whether the message is about the interval that the ticket has."""
    was = problem.was.opened_at if problem.was is not None else problem.opened_at
    return ticket.problem.opened_at in (was, problem.opened_at)


def follow(closed: Ticket, problem: ProblemData) -> Ticket:
    """A ticket that a person closed, with the newest facts of its interval: that the count grew changes nothing."""
    if closed.outcome not in BY_PERSON or problem.historic or problem.reason in WITHDRAWN:
        return closed
    if not _is_of_interval(closed, problem):
        return closed
    return replace(closed, problem=problem)


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
    if ticket.state not in (TicketState.OPEN, TicketState.SNOOZED):
        raise TooLateError(f"The ticket is {ticket.state}; nothing is left to acknowledge.")
    return _by_person(ticket, TicketChange.ACKNOWLEDGED, now, None, state=TicketState.ACKNOWLEDGED, snoozed_until=None)


def snooze(ticket: Ticket, until: datetime, now: datetime) -> TicketStep:
    """Snooze it until an instant, when it wakes by itself."""
    if not ticket.is_open:
        raise TooLateError("The ticket is closed, so it cannot be snoozed.")
    if ticket.snoozed_until == until:
        raise AlreadyDone("The ticket is already snoozed until then.")
    if not now < until <= now + MAX_SNOOZE:
        raise NotPossibleError("Choose a day after today and within three months.", "until")
    return _by_person(ticket, TicketChange.SNOOZED, now, None, state=TicketState.SNOOZED, snoozed_until=until)


def wake(ticket: Ticket, now: datetime) -> TicketStep | None:
    """End a snooze that is over. None where it is not, or where the ticket is not snoozed."""
    if ticket.state is not TicketState.SNOOZED or ticket.snoozed_until is None or now < ticket.snoozed_until:
        return None
    return _step(ticket, TicketChange.WOKE, ticket.snoozed_until, state=TicketState.OPEN, snoozed_until=None)


def close(
    ticket: Ticket, outcome: TicketOutcome | None, reason: str, now: datetime, is_confirmed: bool = False
) -> TicketStep:
    """Close it with the outcome that a person gives. Needs a reason and, where the problem goes on, confirmation."""
    reason = reason.strip()
    if not ticket.is_open:
        if (outcome, reason) == (ticket.outcome, ticket.closed_because):
            raise AlreadyDone("The ticket is closed already, as you asked.")
        raise TooLateError("The ticket is closed already.")
    if outcome not in CHOICES:
        raise NotPossibleError("Choose how the work on it ended.", "outcome")
    if outcome not in BY_PERSON and ticket.goes_on:
        raise NotPossibleError("The problem has not gone away; choose another outcome.", "outcome")
    if not reason:
        raise NotPossibleError("Write why, so that whoever meets this problem next can learn from it.", "reason")
    if ticket.goes_on and not is_confirmed:
        raise UnconfirmedError("The problem goes on.")
    return _by_person(ticket, TicketChange.CLOSED, now, reason, **_closed(outcome, now, reason))


def reopen(ticket: Ticket, reason: str, now: datetime, is_newest: bool) -> TicketStep:
    """Open a closed ticket again: somebody works on it. `is_newest`: of the tickets of its problem."""
    reason = reason.strip()
    if ticket.is_open:
        raise AlreadyDone("The ticket is open.")
    if not is_newest:
        raise TooLateError("A newer ticket of this problem exists; work on that one.")
    if ticket.problem.reason in WITHDRAWN:
        raise TooLateError(f"Nothing is left to work on: {WITHDRAWN[ticket.problem.reason]}.")
    if not reason:
        raise NotPossibleError("Write why you reopen it, so that others can follow.", "reason")
    return _by_person(ticket, TicketChange.REOPENED, now, reason, **(_OPEN | {"state": TicketState.ACKNOWLEDGED}))


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
    return _step(ticket, TicketChange.UNDONE, now, None, Actor.PERSON, **fields)


def _close(
    ticket: Ticket, outcome: TicketOutcome, at: datetime, actor: Actor = Actor.SYSTEM, reason: str | None = None
) -> TicketStep:
    return _step(ticket, TicketChange.CLOSED, at, reason, actor, **_closed(outcome, at, reason))


_OPEN: dict[str, Any] = {
    "state": TicketState.OPEN,
    "outcome": None,
    "closed_at": None,
    "closed_because": None,
    "snoozed_until": None,
}


def _closed(outcome: TicketOutcome, at: datetime, reason: str | None) -> dict[str, Any]:
    """What a closing sets."""
    return {
        "state": TicketState.CLOSED,
        "outcome": outcome,
        "closed_at": at,
        "closed_because": reason,
        "snoozed_until": None,
    }


def _by_person(ticket: Ticket, change: TicketChange, now: datetime, reason: str | None, **fields: Any) -> TicketStep:
    """A person's change, which can be undone until the ticket changes again."""
    return _step(ticket, change, now, reason, Actor.PERSON, before=ticket.stand, **fields)


def _step(
    ticket: Ticket,
    change: TicketChange,
    at: datetime,
    reason: str | None = None,
    actor: Actor = Actor.SYSTEM,
    **fields: Any,
) -> TicketStep:
    """The next change. What a person did before it can no longer be undone."""
    fields = {"seq": ticket.seq + 1, "changed_at": at, "before": None} | fields
    after = replace(ticket, **fields)  # type: ignore[arg-type]
    return TicketStep(change, after, at, actor, reason, _shown_before(ticket, after.problem))


def _shown_before(ticket: Ticket, problem: ProblemData) -> ProblemInterval | None:
    """The interval that the ticket showed, where late events moved it; None where it only ended, or is a new one."""
    shown = ticket.problem
    is_moved = problem.opened_at != shown.opened_at
    is_end_moved = shown.cleared_at is not None and problem.cleared_at != shown.cleared_at
    if not (is_moved or is_end_moved) or not _is_of_interval(ticket, problem):
        return None
    return ProblemInterval(opened_at=shown.opened_at, cleared_at=shown.cleared_at, peak=shown.peak)
