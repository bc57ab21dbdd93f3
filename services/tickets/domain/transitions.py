"""Which changes a ticket may make, from which state to which. The table `change` of the database checks the same."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.tickets import TicketChange, TicketState

_OPEN, _ACKNOWLEDGED, _SNOOZED = TicketState.OPEN, TicketState.ACKNOWLEDGED, TicketState.SNOOZED
_PLANNED, _DOING, _VERIFYING = TicketState.PLANNED, TicketState.DOING, TicketState.VERIFYING
_CLOSED = TicketState.CLOSED
# From which state, None before the first, to which.
Move = tuple[TicketState | None, TicketState]
_ANY = tuple(TicketState)
_UNPLANNED = (_OPEN, _ACKNOWLEDGED, _SNOOZED)
_LASTING = (*_UNPLANNED, _PLANNED, _DOING, _VERIFYING)


def _stay(*states: TicketState) -> frozenset[Move]:
    return frozenset((state, state) for state in states)


def _to(after: TicketState, *states: TicketState) -> frozenset[Move]:
    return frozenset((state, after) for state in states)


ALLOWED: Mapping[TicketChange, frozenset[Move]] = {
    TicketChange.OPENED: frozenset({(None, _OPEN)}),
    TicketChange.GREW: _stay(*_LASTING),
    TicketChange.UPDATED: _stay(*_ANY),
    TicketChange.CLEARED: _stay(*_LASTING),
    TicketChange.NOTICED: _stay(*_ANY),
    TicketChange.PULLED: _stay(*_LASTING),
    TicketChange.LINKED: _stay(*_ANY),
    TicketChange.REOPENED: frozenset({(_CLOSED, _OPEN), (_CLOSED, _ACKNOWLEDGED)}),
    TicketChange.ACKNOWLEDGED: _to(_ACKNOWLEDGED, _OPEN, _SNOOZED),
    TicketChange.SNOOZED: _to(_SNOOZED, *_UNPLANNED),
    TicketChange.WOKE: _to(_OPEN, _SNOOZED),
    TicketChange.CLOSED: _to(_CLOSED, *_LASTING),
    # Back from what a person may undo: acknowledged, snoozed, started, closed, reopened.
    TicketChange.UNDONE: frozenset(
        _to(_OPEN, _ACKNOWLEDGED, _SNOOZED, _CLOSED)
        | _to(_ACKNOWLEDGED, _SNOOZED, _CLOSED)
        | _to(_SNOOZED, _ACKNOWLEDGED, _SNOOZED, _CLOSED)
        | _to(_PLANNED, _DOING, _CLOSED)
        | _to(_DOING, _CLOSED)
        | _to(_VERIFYING, _CLOSED)
        | _to(_CLOSED, _ACKNOWLEDGED)
    ),
    TicketChange.PLANNED: _to(_PLANNED, _OPEN, _ACKNOWLEDGED),
    TicketChange.RESCHEDULED: _stay(_PLANNED, _DOING),
    TicketChange.WITHDRAWN: _to(_ACKNOWLEDGED, _PLANNED, _DOING),
    TicketChange.STARTED: _to(_DOING, _PLANNED),
    # From closed: late events took the verdict back.
    TicketChange.VERIFYING: _to(_VERIFYING, _PLANNED, _DOING, _CLOSED),
    # From closed: late events changed the verdict.
    TicketChange.VERDICT: _to(_CLOSED, _VERIFYING, _CLOSED),
    TicketChange.ADOPTED: _stay(_CLOSED),
    TicketChange.DROPPED: _stay(_CLOSED),
    TicketChange.ADAPTED: _to(_ACKNOWLEDGED, _CLOSED),
    # The problem may have come back meanwhile, and have opened the ticket again.
    TicketChange.HELD: _stay(*_ANY),
    TicketChange.FADING: _stay(*_ANY),
    TicketChange.DECAYED: _stay(*_ANY),
}


def is_allowed(before: TicketState | None, change: TicketChange, after: TicketState) -> bool:
    """Whether a ticket may make this change."""
    return (before, after) in ALLOWED[change]
