"""Which change of a ticket is told by mail, when, and what becomes of mails that still wait. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketOutcome

TOLD = {
    TicketChange.OPENED: NoticeReason.OPENED,
    TicketChange.GREW: NoticeReason.GREW,
    TicketChange.REOPENED: NoticeReason.REOPENED,
    TicketChange.CLEARED: NoticeReason.CLEARED,
}
OVER = (NoticeReason.CLEARED, NoticeReason.OPENED_AND_CLEARED)


@dataclass(frozen=True)
class Waiting:
    """A mail about the same ticket that has not gone out; `taken`: a sender has it in hand, or a server may have it."""

    id: int
    reason: NoticeReason
    taken: bool = False


@dataclass(frozen=True)
class Earlier:
    """The mails about a ticket so far. `sent`: the reason of the last that went out; `last_grew`: when growth was last
    told; `newest`: number of the latest change that any of them is about."""

    waiting: Sequence[Waiting] = ()
    sent: NoticeReason | None = None
    last_grew: datetime | None = None
    newest: int = 0


@dataclass(frozen=True)
class Decision:
    """Write a new mail for `reason` at `due`, or put this change into the waiting mail `into`; `merged` fall away.

    Without a reason nobody is told anything new.
    """

    reason: NoticeReason | None
    due: datetime
    into: int | None = None
    merged: tuple[int, ...] = ()


def decide(
    change: TicketChange, now: datetime, earlier: Earlier, grew_every: timedelta, outcome: TicketOutcome | None = None
) -> Decision | None:
    """None when nothing is told of this change, and nothing that waits falls away. `outcome`: of the ticket."""
    if change is TicketChange.CLOSED:
        return _closed(now, earlier, outcome)
    reason = TOLD.get(change)
    if reason is None:
        return None
    free = [one for one in earlier.waiting if not one.taken]
    grown = tuple(one.id for one in free if one.reason is NoticeReason.GREW)
    if reason is NoticeReason.CLEARED:
        begun = next((one for one in free if one.reason in (NoticeReason.OPENED, NoticeReason.REOPENED)), None)
        if begun is not None:
            return Decision(NoticeReason.OPENED_AND_CLEARED, now, begun.id, grown)
        return Decision(reason, now, None, grown)
    if reason is NoticeReason.GREW:
        begun = next((one for one in reversed(free) if one.reason not in OVER), None)
        if begun is not None:
            # What waits says the newest count.
            return Decision(begun.reason, now, begun.id)
        return Decision(reason, max(now, earlier.last_grew + grew_every) if earlier.last_grew else now)
    return Decision(reason, now)


def _closed(now: datetime, earlier: Earlier, outcome: TicketOutcome | None) -> Decision | None:
    """What still waits would tell of a problem that is none; one that was told and never was is taken back."""
    merged = tuple(one.id for one in earlier.waiting if not one.taken and one.reason not in OVER)
    kept = [one.reason for one in earlier.waiting if one.id not in merged]
    told = kept[-1] if kept else earlier.sent
    if outcome is TicketOutcome.RETRACTED and told is not None and told not in OVER:
        return Decision(NoticeReason.CLEARED, now, None, merged)
    return Decision(None, now, None, merged) if merged else None
