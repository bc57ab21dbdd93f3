"""Reasons for mails: which change has which, which one of two names a mail, which cannot wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketState

CORD_KIND = "cord"
REASONS: Mapping[TicketChange, NoticeReason] = {
    TicketChange.OPENED: NoticeReason.OPENED,
    TicketChange.GREW: NoticeReason.GREW,
    TicketChange.REOPENED: NoticeReason.REOPENED,
    TicketChange.CLEARED: NoticeReason.CLEARED,
    TicketChange.VERDICT: NoticeReason.VERDICT,
    TicketChange.HELD: NoticeReason.HELD,
    TicketChange.FADING: NoticeReason.FADING,
    TicketChange.DECAYED: NoticeReason.DECAYED,
    TicketChange.PULLED: NoticeReason.CORD,
}
# After a mail for one of these its reader knows that the problem is over.
OVER = (NoticeReason.CLEARED, NoticeReason.OPENED_AND_CLEARED)
# These say how the problem is.
OF_PROBLEM = (NoticeReason.OPENED, NoticeReason.GREW, NoticeReason.REOPENED, *OVER)
# A reader who got one of these knows of the problem.
ABOUT_PROBLEM = (*OF_PROBLEM, NoticeReason.CORD, NoticeReason.ESCALATED, NoticeReason.DECAYED)
# A ticket that closes makes all others out of date. These say how it ended, or what became of it later.
OF_RESULTS = (NoticeReason.VERDICT, NoticeReason.HELD, NoticeReason.FADING, NoticeReason.DECAYED)
# They go out in quiet hours to readers whose quiet hours say so.
URGENT = (NoticeReason.ESCALATED, NoticeReason.CORD)
# What a change makes out of date, before its mail has gone out.
MOOT: Mapping[TicketChange, tuple[NoticeReason, ...]] = {
    TicketChange.ACKNOWLEDGED: (NoticeReason.ESCALATED,),
    TicketChange.SNOOZED: (NoticeReason.ESCALATED,),
    TicketChange.PLANNED: (NoticeReason.ESCALATED,),
    TicketChange.RESCHEDULED: (NoticeReason.PLAN_DUE,),
    TicketChange.WITHDRAWN: (NoticeReason.PLAN_DUE,),
    TicketChange.VERIFYING: (NoticeReason.PLAN_DUE, NoticeReason.VERDICT),
    TicketChange.VERDICT: (NoticeReason.LOOK_DUE,),
    TicketChange.DROPPED: (NoticeReason.FADING,),
}
# Of two reasons in one mail, the later one in this list names it.
_WEIGHT = (
    NoticeReason.LOOK_DUE,
    NoticeReason.PLAN_DUE,
    NoticeReason.OPENED,
    NoticeReason.GREW,
    NoticeReason.ESCALATED,
    NoticeReason.REOPENED,
    *OVER,
    NoticeReason.CORD,
    NoticeReason.FADING,
    NoticeReason.HELD,
    NoticeReason.VERDICT,
    NoticeReason.DECAYED,
)


def reason_of(facts: TicketData, was: TicketState | None) -> NoticeReason | None:
    """Why a change is worth a mail; None: it is not. `was`: the state before it, where known."""
    if takes_verdict_back(facts.change, was):
        return NoticeReason.VERDICT
    return NoticeReason.CORD if is_pull(facts) else REASONS.get(facts.change)


def takes_verdict_back(change: TicketChange, was: TicketState | None) -> bool:
    """Whether late events took back a verdict. `was`: the state before the change."""
    return change is TicketChange.VERIFYING and was is TicketState.CLOSED


def is_pull(facts: TicketData) -> bool:
    """Whether a change is a pull of a cord. A ticket of one may also be opened again as its gain was lost."""
    if facts.kind != CORD_KIND or facts.actor is Actor.PERSON:
        return False
    is_reopened = facts.change is TicketChange.REOPENED and facts.problem.opened_at == facts.at
    return is_reopened or facts.change in (TicketChange.OPENED, TicketChange.PULLED)


def weightier(one: NoticeReason, other: NoticeReason) -> NoticeReason:
    """The reason that names a mail with both."""
    return max(one, other, key=_WEIGHT.index)
