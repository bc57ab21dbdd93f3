"""The life of a ticket: what problems and people change about it. Pure: values in, steps out.

`open -> acknowledged`; `snoozed` always has an end; `closed`, from any state, has an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.contracts.problems import Mode, ProblemData, ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState

MAX_SNOOZE = timedelta(days=92)
# Why a problem no longer exists, as its ticket says.
WITHDRAWN = {
    ProblemReason.RETRACTED: "late events show that there was no problem",
    ProblemReason.UNRULED: "the policy no longer checks for this",
}


@dataclass(frozen=True)
class Ticket:
    """A ticket. `id` 0: not saved yet. `problem`: the newest interval that belongs to it."""

    id: int
    key: str
    state: TicketState
    seq: int
    opened_at: datetime
    changed_at: datetime
    problem: ProblemData
    outcome: TicketOutcome | None = None
    closed_at: datetime | None = None
    snoozed_until: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.state is not TicketState.CLOSED


@dataclass(frozen=True)
class TicketStep:
    """One change, and the ticket after it."""

    change: TicketChange
    ticket: Ticket
    at: datetime
    actor: Actor = Actor.SYSTEM
    reason: str | None = None


class NotPossibleError(Exception):
    """A person's command does not fit. The text says what to do; `field` names the field of the form to correct."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class TooLateError(NotPossibleError):
    """The ticket has changed meanwhile, and the command no longer fits."""


class AlreadyDone(TooLateError):
    """The ticket is already as the command asks: somebody else was first, or the form was sent twice."""


def on_problem(last: Ticket | None, problem: ProblemData, reopen_within: timedelta) -> list[TicketStep]:
    """The changes that a message about a problem makes to the newest ticket of its key."""
    if problem.historic:
        return []
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
        again = replace(
            last,
            state=TicketState.OPEN,
            outcome=None,
            closed_at=None,
            problem=problem,
            seq=last.seq + 1,
            changed_at=at,
        )
        return TicketStep(TicketChange.REOPENED, again, at)
    fresh = Ticket(0, problem.key, TicketState.OPEN, 1, at, at, problem)
    return TicketStep(TicketChange.OPENED, fresh, at)


def _is_closed_by_person(last: Ticket, problem: ProblemData) -> bool:
    """Whether a person closed the ticket of this same interval: changes to it open no ticket."""
    return last.outcome in (TicketOutcome.ABANDONED, TicketOutcome.WONT_FIX) and _is_of_interval(last, problem)


def _continue(ticket: Ticket, problem: ProblemData) -> list[TicketStep]:
    """Add to an open ticket, or close it with its problem."""
    if not _is_of_interval(ticket, problem):
        if problem.opened_at < ticket.problem.opened_at or problem.cleared_at is not None:
            return []
        return [_step(ticket, TicketChange.UPDATED, problem.opened_at, "the problem opened again", problem=problem)]
    if problem.cleared_at is not None:
        cleared = _step(ticket, TicketChange.CLEARED, problem.cleared_at, problem=problem)
        return [cleared, _close(cleared.ticket, TicketOutcome.CLEARED_WITHOUT_CHANGE, problem.cleared_at)]
    if problem.reason is ProblemReason.GREW:
        return [_step(ticket, TicketChange.GREW, problem.detected_at, f"to {problem.peak}", problem=problem)]
    if problem.reason is ProblemReason.REVISED and not _is_unchanged(problem):
        return [_step(ticket, TicketChange.UPDATED, problem.detected_at, "late events changed it", problem=problem)]
    return []


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


def acknowledge(ticket: Ticket, now: datetime) -> TicketStep:
    """Somebody takes care of it."""
    if ticket.state is TicketState.ACKNOWLEDGED:
        raise AlreadyDone("The ticket is already acknowledged.")
    if ticket.state not in (TicketState.OPEN, TicketState.SNOOZED):
        raise TooLateError(f"The ticket is {ticket.state}; nothing is left to acknowledge.")
    return _step(
        ticket, TicketChange.ACKNOWLEDGED, now, actor=Actor.PERSON, state=TicketState.ACKNOWLEDGED, snoozed_until=None
    )


def snooze(ticket: Ticket, until: datetime, now: datetime, reason: str | None = None) -> TicketStep:
    """Snooze it until an instant, when it wakes by itself."""
    if not ticket.is_open:
        raise TooLateError("The ticket is closed, so it cannot be snoozed.")
    if not now < until <= now + MAX_SNOOZE:
        raise NotPossibleError("Choose a day after today and within three months.", "until")
    return _step(
        ticket, TicketChange.SNOOZED, now, reason, Actor.PERSON, state=TicketState.SNOOZED, snoozed_until=until
    )


def wake(ticket: Ticket, now: datetime) -> TicketStep | None:
    """End a snooze that is over. None where it is not, or where the ticket is not snoozed."""
    if ticket.state is not TicketState.SNOOZED or ticket.snoozed_until is None or now < ticket.snoozed_until:
        return None
    return _step(ticket, TicketChange.WOKE, ticket.snoozed_until, state=TicketState.OPEN, snoozed_until=None)


def close(ticket: Ticket, outcome: TicketOutcome | None, reason: str, now: datetime) -> TicketStep:
    """Close it without a change to the system. A reason is required."""
    if not ticket.is_open:
        raise TooLateError("The ticket is closed already.")
    if outcome not in (TicketOutcome.ABANDONED, TicketOutcome.WONT_FIX):
        raise NotPossibleError("Choose: nothing will be changed, or the work on it was given up.", "outcome")
    if not reason.strip():
        raise NotPossibleError("Write why, so that whoever meets this problem next can learn from it.", "reason")
    return _close(ticket, outcome, now, Actor.PERSON, reason.strip())


def _close(
    ticket: Ticket, outcome: TicketOutcome, at: datetime, actor: Actor = Actor.SYSTEM, reason: str | None = None
) -> TicketStep:
    return _step(
        ticket,
        TicketChange.CLOSED,
        at,
        reason,
        actor,
        state=TicketState.CLOSED,
        outcome=outcome,
        closed_at=at,
        snoozed_until=None,
    )


def _step(
    ticket: Ticket,
    change: TicketChange,
    at: datetime,
    reason: str | None = None,
    actor: Actor = Actor.SYSTEM,
    **fields: object,
) -> TicketStep:
    after = replace(ticket, seq=ticket.seq + 1, changed_at=at, **fields)  # type: ignore[arg-type]
    return TicketStep(change, after, at, actor, reason)
