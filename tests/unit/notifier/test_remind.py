"""On which days a plan and a study remind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.notifier.domain.remind import due_reason, looks_of_week, next_reminder, today
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData, TicketState
from tests.support.plan_facts import plan_facts
from tests.support.problems import ticket_event


def facts(state: TicketState, **fields: Any) -> TicketData:
    return ticket_event(state=state, plan=plan_facts(**fields)).data


def days(ticket: TicketData, after: date) -> list[str]:
    """All days with reminders, one after the other."""
    found = []
    while (following := next_reminder(ticket, after)) is not None:
        found.append(f"{following:%m-%d}")
        after = following
    return found


@pytest.mark.parametrize("state", [TicketState.PLANNED, TicketState.DOING])
def test_a_plan_reminds_before_each_of_its_days_and_after_it(state: TicketState) -> None:
    assert days(facts(state), date(2026, 3, 1)) == ["03-03", "03-06", "03-07", "03-10"]


def test_a_study_reminds_on_the_mondays_of_its_looks() -> None:
    ticket = facts(TicketState.VERIFYING, looks=(date(2026, 4, 8), date(2026, 5, 10), date(2026, 6, 8)))

    assert days(ticket, date(2026, 3, 1)) == ["04-06", "05-04", "06-08"]


@pytest.mark.parametrize("state", [TicketState.OPEN, TicketState.ACKNOWLEDGED, TicketState.SNOOZED, TicketState.CLOSED])
def test_other_states_remind_of_nothing(state: TicketState) -> None:
    assert next_reminder(facts(state), date(2026, 3, 1)) is None


def test_days_that_were_missed_are_one_reminder() -> None:
    ticket = facts(TicketState.DOING)

    assert due_reason(ticket, date(2026, 3, 1), date(2026, 3, 12)) is NoticeReason.PLAN_DUE
    assert due_reason(ticket, date(2026, 3, 10), date(2026, 3, 12)) is None
    assert due_reason(ticket, date(2026, 3, 3), date(2026, 3, 5)) is None


def test_the_week_of_a_look_is_an_iso_week() -> None:
    assert looks_of_week(plan_facts(), date(2026, 4, 12)) == [date(2026, 4, 6)]
    assert looks_of_week(plan_facts(), date(2026, 4, 13)) == []


def test_reminders_of_a_day_begin_in_the_morning() -> None:
    eight = datetime(2026, 3, 29, 6, tzinfo=UTC)

    assert today(eight, "Europe/Berlin") == date(2026, 3, 29)
    assert today(eight - timedelta(seconds=1), "Europe/Berlin") == date(2026, 3, 28)
