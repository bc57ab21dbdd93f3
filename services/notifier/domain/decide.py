"""Which changes of a ticket are worth a mail, when it is due, and what happens to notices that still wait. Pure.

The first mail goes out at once. After it one mail in each span of `every` reports what changed meanwhile, so at most
one notice of a ticket waits that may still change.
"""

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

    `last_sent`: reason of the last one sent, and `last_mail`: when that was. `latest_seq`: number of the latest change
    of the ticket that any of them covers, and `latest_at`: the greatest time of one. `dropped`: reason of the newest
    one, where it was dropped.
    """

    waiting: Sequence[WaitingNotice] = ()
    last_sent: NoticeReason | None = None
    last_mail: datetime | None = None
    latest_seq: int = 0
    latest_at: datetime | None = None
    dropped: NoticeReason | None = None

    def covers(self, change: TicketChange, seq: int, at: datetime) -> bool:
        """Whether this is a second delivery of a change, which must not drop newer notices.

        Not one that is newer than all: it got its number again when the database was set back.
        """
        is_newer = change in REASONS and self.latest_at is not None and at > self.latest_at
        return seq <= self.latest_seq and not is_newer

    @property
    def open_to_change(self) -> list[WaitingNotice]:
        return [notice for notice in self.waiting if not notice.frozen]

    @property
    def known(self) -> NoticeReason | None:
        """What the reader knows from the last mail that has gone out, or may have."""
        frozen = [notice.reason for notice in self.waiting if notice.frozen]
        return frozen[-1] if frozen else self.last_sent

    def due(self, now: datetime, every: timedelta) -> datetime:
        """When the next mail may go out."""
        if any(notice.frozen for notice in self.waiting):
            return now + every
        return now if self.last_mail is None else max(now, self.last_mail + every)


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
    every: timedelta,
    outcome: TicketOutcome | None = None,
) -> Decision | None:
    """What to do about one change; None: nothing. `outcome` is the ticket's."""
    if change is TicketChange.CLOSED:
        return _closed(now, history, every, outcome)
    reason = REASONS.get(change)
    if reason is None:
        return None
    changeable = history.open_to_change
    if not changeable:
        return Decision(reason, history.due(now, every))
    *outdated, pending = changeable
    merge = _still_over if reason in OVER else _still_there
    dropped = tuple(notice.id for notice in outdated)
    return Decision(merge(reason, pending.reason, history.known), now, pending.id, dropped)


def decide_by_person(
    is_open: bool, is_over: bool, now: datetime, history: NoticeHistory, every: timedelta
) -> Decision | None:
    """What to do where a person opened the ticket again, or took back what a person did last.

    `is_open`: whether the ticket is open after it; `is_over`: whether its problem has cleared. What was dropped when
    the ticket was closed is written again: somebody is to work on it.
    """
    if not is_open:
        return _closed(now, history, every, None)
    if history.dropped is None or (is_over and history.known is not None):
        return None
    return Decision(NoticeReason.OPENED if history.known is None else history.dropped, history.due(now, every))


def _still_over(reason: NoticeReason, pending: NoticeReason, known: NoticeReason | None) -> NoticeReason:
    """A problem that is over before its mail went out gets one mail that says both."""
    reported = known is not None and known not in OVER
    return reason if reported and pending is not NoticeReason.OPENED else NoticeReason.OPENED_AND_CLEARED


def _still_there(reason: NoticeReason, pending: NoticeReason, known: NoticeReason | None) -> NoticeReason:
    """A problem that went and came back was found, for a reader who knows nothing of it; else it came back."""
    if pending in OVER:
        return NoticeReason.OPENED if known is None else NoticeReason.REOPENED
    return reason if reason is NoticeReason.REOPENED else pending


def _closed(now: datetime, history: NoticeHistory, every: timedelta, outcome: TicketOutcome | None) -> Decision | None:
    """Drop what waits, as the ticket is closed; withdraw what was sent about a problem that never existed."""
    dropped = tuple(notice.id for notice in history.open_to_change if notice.reason not in OVER)
    kept = [notice.reason for notice in history.waiting if notice.id not in dropped]
    last = kept[-1] if kept else history.last_sent
    if outcome is TicketOutcome.RETRACTED and last is not None and last not in OVER:
        return Decision(NoticeReason.CLEARED, history.due(now, every), None, dropped)
    return Decision(None, now, None, dropped) if dropped else None
