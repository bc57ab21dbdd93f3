"""Which changes of a ticket are worth a mail, when it is due, and what happens to notices that still wait. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketOutcome

REASONS = {
    TicketChange.OPENED: NoticeReason.OPENED,
    TicketChange.GREW: NoticeReason.GREW,
    TicketChange.REOPENED: NoticeReason.REOPENED,
    TicketChange.CLEARED: NoticeReason.CLEARED,
}
# After a mail for one of these its reader knows that the problem is over.
OVER = (NoticeReason.CLEARED, NoticeReason.OPENED_AND_CLEARED)


@dataclass(frozen=True)
class WaitingNotice:
    """A notice whose mail has not been sent. `frozen`: a sender has claimed that mail, or a server may have it."""

    id: int
    reason: NoticeReason
    frozen: bool = False


@dataclass(frozen=True)
class NoticeHistory:
    """The notices about one ticket so far.

    `last_sent`: reason of the last one sent. `last_grew`: when the last one about growth was written.
    `latest_seq`: number of the latest change of the ticket that any of them covers.
    """

    waiting: Sequence[WaitingNotice] = ()
    last_sent: NoticeReason | None = None
    last_grew: datetime | None = None
    latest_seq: int = 0


@dataclass(frozen=True)
class Decision:
    """Write a new notice for `reason`, due at `due`, or update the waiting notice `into`; drop the notices `dropped`.

    Without a reason there is nothing to write, only to drop.
    """

    reason: NoticeReason | None
    due: datetime
    into: int | None = None
    dropped: tuple[int, ...] = ()


def decide(
    change: TicketChange,
    now: datetime,
    history: NoticeHistory,
    grew_every: timedelta,
    outcome: TicketOutcome | None = None,
) -> Decision | None:
    """What to do about one change; None: nothing. `outcome` is the ticket's."""
    if change is TicketChange.CLOSED:
        return _closed(now, history, outcome)
    reason = REASONS.get(change)
    if reason is NoticeReason.CLEARED:
        return _cleared(now, history)
    if reason is NoticeReason.GREW:
        return _grew(now, history, grew_every)
    return None if reason is None else Decision(reason, now)


def _open_to_change(history: NoticeHistory) -> list[WaitingNotice]:
    return [notice for notice in history.waiting if not notice.frozen]


def _cleared(now: datetime, history: NoticeHistory) -> Decision:
    """A problem that is over before its first mail went out gets one mail that says both."""
    waiting = _open_to_change(history)
    growth = tuple(notice.id for notice in waiting if notice.reason is NoticeReason.GREW)
    first = next((n for n in waiting if n.reason in (NoticeReason.OPENED, NoticeReason.REOPENED)), None)
    if first is not None:
        return Decision(NoticeReason.OPENED_AND_CLEARED, now, first.id, growth)
    return Decision(NoticeReason.CLEARED, now, None, growth)


def _grew(now: datetime, history: NoticeHistory, grew_every: timedelta) -> Decision:
    """The newest count goes into the notice that waits; else growth is reported once in `grew_every`."""
    last = next((notice for notice in reversed(_open_to_change(history)) if notice.reason not in OVER), None)
    if last is not None:
        return Decision(last.reason, now, last.id)
    due = now if history.last_grew is None else max(now, history.last_grew + grew_every)
    return Decision(NoticeReason.GREW, due)


def _closed(now: datetime, history: NoticeHistory, outcome: TicketOutcome | None) -> Decision | None:
    """Drop what waits, as the problem is none any more; withdraw what was sent about a problem that never was."""
    dropped = tuple(notice.id for notice in _open_to_change(history) if notice.reason not in OVER)
    kept = [notice.reason for notice in history.waiting if notice.id not in dropped]
    last = kept[-1] if kept else history.last_sent
    if outcome is TicketOutcome.RETRACTED and last is not None and last not in OVER:
        return Decision(NoticeReason.CLEARED, now, None, dropped)
    return Decision(None, now, None, dropped) if dropped else None
