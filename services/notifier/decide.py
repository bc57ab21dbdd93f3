"""Which change of a ticket is told by mail, when, and what becomes of mails that still wait. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import Change

TOLD = {
    Change.OPENED: NoticeReason.OPENED,
    Change.GREW: NoticeReason.GREW,
    Change.REOPENED: NoticeReason.REOPENED,
    Change.CLEARED: NoticeReason.CLEARED,
}
OVER = (NoticeReason.CLEARED, NoticeReason.OPENED_AND_CLEARED)


@dataclass(frozen=True)
class Waiting:
    """A mail about the same ticket that has not gone out; `taken`: a sender has it in hand."""

    id: int
    reason: NoticeReason
    taken: bool = False


@dataclass(frozen=True)
class Decision:
    """Write a new mail for `reason` at `due`, or put this change into the waiting mail `into`; `merged` fall away."""

    reason: NoticeReason
    due: datetime
    into: int | None = None
    merged: tuple[int, ...] = ()


def decide(
    change: Change, now: datetime, waiting: Sequence[Waiting], last_grew: datetime | None, grew_every: timedelta
) -> Decision | None:
    """None when nobody is told of this change. `last_grew`: when growth of this ticket was last told."""
    reason = TOLD.get(change)
    if reason is None:
        return None
    free = [one for one in waiting if not one.taken]
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
        return Decision(reason, max(now, last_grew + grew_every) if last_grew else now)
    return Decision(reason, now)
