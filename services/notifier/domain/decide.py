"""Which changes of a ticket are worth a mail, when it is due, and what happens to notices that still wait. Pure.

The first mail goes out at once. After it one mail in each span of `every` reports what changed meanwhile, so at most
one notice of a ticket waits that may still change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notifier.domain.reasons import ABOUT_PROBLEM, MOOT, OF_PROBLEM, OF_RESULTS, OVER, REASONS, weightier
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketOutcome

ALL_REASONS = frozenset(NoticeReason)
# What a ticket that is opened again reports once more, where its closing dropped it.
_WRITTEN_AGAIN = (NoticeReason.OPENED, NoticeReason.GREW, NoticeReason.REOPENED, NoticeReason.CORD)


@dataclass(frozen=True)
class WaitingNotice:
    """A notice whose mail has not been sent. `frozen`: a sender has claimed that mail, or a server may have it."""

    id: int
    reason: NoticeReason
    frozen: bool = False


@dataclass(frozen=True)
class NoticeHistory:
    """The notices about one ticket to one recipient so far.

    `last_sent`: reason of the last one sent that was about the problem; `last_mail`: when the last of all was.
    `latest_seq`: number of the latest change of the ticket that any of them covers, and `latest_at`: the greatest time
    of one. `dropped`: reason of the newest one, where it was dropped. `verdict_known`: whether a mail with a verdict
    has gone out, or may have.
    """

    waiting: Sequence[WaitingNotice] = ()
    last_sent: NoticeReason | None = None
    last_mail: datetime | None = None
    latest_seq: int = 0
    latest_at: datetime | None = None
    dropped: NoticeReason | None = None
    verdict_known: bool = False

    def covers(self, change: TicketChange, seq: int, at: datetime) -> bool:
        """Whether this is a second delivery of a change, which must not drop newer notices.

        Not one that is newer than all: it got its number again when the database was set back.
        """
        is_newer = change in REASONS and self.latest_at is not None and at > self.latest_at
        return seq <= self.latest_seq and not is_newer

    def without(self, dropped: Collection[int]) -> NoticeHistory:
        """The same without notices that are dropped."""
        return replace(self, waiting=[one for one in self.waiting if one.id not in dropped])

    @property
    def open_to_change(self) -> list[WaitingNotice]:
        return [notice for notice in self.waiting if not notice.frozen]

    @property
    def known(self) -> NoticeReason | None:
        """What the reader knows of the problem from the last mail that has gone out, or may have."""
        frozen = [one.reason for one in self.waiting if one.frozen and one.reason in ABOUT_PROBLEM]
        return frozen[-1] if frozen else self.last_sent

    def due(self, now: datetime, every: timedelta) -> datetime:
        """When the next mail to the recipient may go out."""
        if any(notice.frozen for notice in self.waiting):
            return now + every
        return now if self.last_mail is None else max(now, self.last_mail + every)


@dataclass(frozen=True)
class Decision:
    """Write a new notice for `reason`, due at `due`, or update the waiting notice `into`; drop the notices `dropped`.

    What the notices `absorbed` report goes into `into`. Without a reason there is nothing to write, only to drop.
    """

    reason: NoticeReason | None
    due: datetime
    into: int | None = None
    dropped: tuple[int, ...] = ()
    absorbed: tuple[int, ...] = ()


def decide(
    change: TicketChange,
    reason: NoticeReason | None,
    now: datetime,
    history: NoticeHistory,
    every: timedelta,
    outcome: TicketOutcome | None = None,
    wanted: Collection[NoticeReason] = ALL_REASONS,
) -> Decision | None:
    """What to do about one change; None: nothing.

    `reason`: why it is worth a mail, if it is. `outcome` is the ticket's. `wanted`: what the recipient gets mails for.
    """
    if change is TicketChange.CLOSED:
        return _closed(now, history, every, outcome)
    moot = MOOT.get(change, ())
    dropped = tuple(notice.id for notice in history.open_to_change if notice.reason in moot)
    if reason is None or (change is TicketChange.VERIFYING and not history.verdict_known):
        return Decision(None, now, None, dropped) if dropped else None
    return report(reason, now, history.without(dropped), every, wanted, dropped)


def report(
    reason: NoticeReason,
    now: datetime,
    history: NoticeHistory,
    every: timedelta,
    wanted: Collection[NoticeReason] = ALL_REASONS,
    dropped: tuple[int, ...] = (),
) -> Decision | None:
    """Report something: in the notice that waits, else in a new one where the recipient wants it. Drops `dropped`.

    A notice that waits follows its problem, wanted or not: it is to say how things are. Of several, the oldest goes
    out first and takes in the others: they were written while a sender had it, and could not deliver it.
    """
    changeable = history.open_to_change
    if not changeable or (reason not in wanted and reason not in OF_PROBLEM):
        if reason in wanted:
            return Decision(reason, history.due(now, every), None, dropped)
        return Decision(None, now, None, dropped) if dropped else None
    oldest, *later = changeable
    merged = oldest.reason
    for one in (*(notice.reason for notice in later), reason):
        merged = _merged(one, merged, history.known)
    absorbed = tuple(notice.id for notice in later)
    return Decision(merged, history.due(now, every), oldest.id, dropped, absorbed)


def decide_by_person(
    is_open: bool, is_over: bool, now: datetime, history: NoticeHistory, every: timedelta
) -> Decision | None:
    """What to do where a person opened the ticket again, or took back what a person did last.

    `is_open`: whether the ticket is open after it; `is_over`: whether its problem has cleared. What was dropped when
    the ticket was closed is written again: somebody is to work on it.
    """
    if not is_open:
        return _closed(now, history, every, None)
    if history.dropped not in _WRITTEN_AGAIN or (is_over and history.known is not None):
        return None
    is_news = history.known is None and history.dropped in OF_PROBLEM
    return Decision(NoticeReason.OPENED if is_news else history.dropped, history.due(now, every))


def _merged(reason: NoticeReason, pending: NoticeReason, known: NoticeReason | None) -> NoticeReason:
    """The reason of one mail that reports two things."""
    if reason not in OF_PROBLEM or pending not in OF_PROBLEM:
        return weightier(pending, reason)
    return (_still_over if reason in OVER else _still_there)(reason, pending, known)


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
    dropped = tuple(notice.id for notice in history.open_to_change if notice.reason not in (*OVER, *OF_RESULTS))
    kept = [one.reason for one in history.waiting if one.id not in dropped and one.reason in ABOUT_PROBLEM]
    last = kept[-1] if kept else history.last_sent
    if outcome is TicketOutcome.RETRACTED and last is not None and last not in OVER:
        return Decision(NoticeReason.CLEARED, history.due(now, every), None, dropped)
    return Decision(None, now, None, dropped) if dropped else None
