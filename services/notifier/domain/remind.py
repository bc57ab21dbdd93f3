"""What a ticket's plan and study remind of, by day. Pure.

A plan that is being carried out: each task, and the change itself, two days before and the day after. A study: the
Monday of each week with a look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import PlanFacts, TicketData, TicketState

NEAR = timedelta(days=2)
_DAY = timedelta(days=1)
# Reminders of a day go out from this hour on.
_MORNING = timedelta(hours=8)


@dataclass(frozen=True)
class Reminder:
    """Something to remind of on a day."""

    on: date
    reason: NoticeReason


def today(now: datetime, zone: str) -> date:
    """The day whose reminders may go out: from its morning on."""
    return (now.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - _MORNING).date()


def next_reminder(facts: TicketData, after: date) -> date | None:
    """The first day after one that has reminders."""
    return min((one.on for one in reminders(facts) if one.on > after), default=None)


def due_reason(facts: TicketData, after: date, until: date) -> NoticeReason | None:
    """What to remind of, of all days after one and up to another."""
    return next((one.reason for one in reminders(facts) if after < one.on <= until), None)


def reminders(facts: TicketData) -> list[Reminder]:
    """All reminders of a ticket in its state; a state has those of one reason only."""
    if facts.plan is None:
        return []
    if facts.state in (TicketState.PLANNED, TicketState.DOING):
        return [Reminder(on, NoticeReason.PLAN_DUE) for on in _plan_days(facts.plan)]
    if facts.state is TicketState.VERIFYING:
        return [Reminder(monday(look), NoticeReason.LOOK_DUE) for look in facts.plan.looks]
    return []


def _plan_days(plan: PlanFacts) -> Iterator[date]:
    for due in (*(task.by for task in plan.tasks), plan.change_date):
        yield due - NEAR
        yield due + _DAY


def monday(day: date) -> date:
    """The first day of a week."""
    return day - timedelta(days=day.weekday())


def looks_of_week(plan: PlanFacts, day: date) -> list[date]:
    """The looks in the week of a day."""
    return [look for look in plan.looks if monday(look) == monday(day)]
