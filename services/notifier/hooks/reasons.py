"""Which changes of a ticket a receiver hears of. Pure.

Unlike mails, messages to other systems are not put together: each change with a reason is one message.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.notifier.domain.reasons import ABOUT_PROBLEM, reason_of, takes_verdict_back
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketOutcome, TicketState

NOT_FOR_HOOKS = (NoticeReason.OPENED_AND_CLEARED, NoticeReason.WEEKLY_REPORT)
HOOK_REASONS = tuple(reason for reason in NoticeReason if reason not in NOT_FOR_HOOKS)


@dataclass(frozen=True)
class HookOccasion:
    """Why a receiver is sent a message. `after`: only one that was sent one of these reasons about the ticket before,
    as it takes back what that said; empty: any.
    """

    reason: NoticeReason
    after: tuple[NoticeReason, ...] = ()


def occasion_of(facts: TicketData, was: TicketState | None) -> HookOccasion | None:
    """Why a change is sent; None: it is not. `was`: the state before it."""
    if facts.change is TicketChange.CLOSED:
        is_withdrawn = facts.outcome is TicketOutcome.RETRACTED
        return HookOccasion(NoticeReason.CLEARED, ABOUT_PROBLEM) if is_withdrawn else None
    if facts.actor is Actor.PERSON and facts.change is TicketChange.REOPENED:
        # The problem did not come back: somebody works on the ticket.
        return None
    reason = reason_of(facts, was)
    if reason is not None and takes_verdict_back(facts.change, was):
        return HookOccasion(reason, (NoticeReason.VERDICT,))
    return HookOccasion(reason) if reason is not None else None
