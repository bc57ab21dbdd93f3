"""A problem as it is now, from the latest message about its stage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import count_now, latest_count
from services.tickets.web.now_view import LATE, now_view
from shared.contracts.now import NowData, RuleNow
from shared.contracts.problems import Evidence
from shared.contracts.tickets import TicketOutcome, TicketState
from shared.stream.stages_now import StagesNow
from tests.support.problems import day, problem

AS_OF = day(2)


def stages(at: datetime | None = AS_OF, **fields: Any) -> StagesNow:
    """Proposal with one rule, by default on an open problem of 7 deals."""
    rule = {"key": "aging/new/proposal", "kind": "aging", "count": 7, "threshold": 5, "breached": True}
    told = RuleNow(**(rule | {"since": day(0), "problem_opened_at": day(0), "peak": 20} | fields))
    stage = NowData(pipeline="new", stage="proposal", as_of=day(1), wip=30, rules=(told,))
    return StagesNow(at, {("new", "proposal"): stage})


def ticket(**fields: Any) -> Ticket:
    given = {"state": TicketState.OPEN, "problem": problem()} | fields
    return Ticket(1, "aging/new/proposal", seq=1, opened_at=day(0), changed_at=day(0), **given)


def closed(outcome: TicketOutcome, **fields: Any) -> Ticket:
    return ticket(state=TicketState.CLOSED, outcome=outcome, closed_at=day(1), **fields)


def test_count_peak_and_time_are_of_now() -> None:
    latest = count_now(ticket(), stages())

    assert (latest.problem.count, latest.problem.peak, latest.at) == (7, 20, AS_OF)
    assert latest.problem.evidence is not None
    assert (latest.problem.evidence.at, latest.problem.evidence.total) == (AS_OF, 7)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (ticket(), StagesNow(None, {})),
        (ticket(), stages(key="wip-high/new/proposal")),
        # A message that is newer than the latest count of the stage.
        (ticket(problem=problem(evidence=Evidence(at=AS_OF + timedelta(seconds=1), total=12))), stages()),
        (ticket(problem=problem(cleared=1)), stages()),
        (closed(TicketOutcome.RETRACTED), stages()),
        # Closed by a person, and another problem of this kind has begun since.
        (closed(TicketOutcome.WONT_FIX), stages(problem_opened_at=day(1.5))),
    ],
)
def test_what_says_nothing_of_the_problem_now_changes_nothing(given: Ticket, told: StagesNow) -> None:
    assert count_now(given, told) == latest_count(given.problem)


def test_a_ticket_closed_by_a_person_shows_a_problem_that_goes_on() -> None:
    assert count_now(closed(TicketOutcome.WONT_FIX), stages()).problem.count == 7


def test_a_condition_that_no_longer_holds_says_since_when_and_what_follows() -> None:
    latest = count_now(ticket(), stages(count=4, breached=False, since=day(1), clears_at=day(3)))
    view = now_view(latest, problem(), AS_OF)

    assert view is not None
    assert (view.eased, view.since, view.clears_at) == ("Below the limit", day(1), day(3))
    assert (view.count, view.peak, view.found, view.found_at) == (4, 20, 12, day(0))
    holding = now_view(count_now(ticket(), stages()), problem(), AS_OF)
    assert holding is not None
    assert (holding.eased, holding.since, holding.clears_at) == (None, None, None)


def test_numbers_that_no_longer_come_in_are_called_old() -> None:
    latest = count_now(ticket(), stages())
    views = [now_view(latest, problem(), AS_OF + after) for after in (LATE, LATE + timedelta(seconds=1))]

    assert [view.is_late for view in views if view] == [False, True]


def test_what_is_over_is_not_now() -> None:
    over = problem(cleared=1)

    assert now_view(count_now(ticket(problem=over), stages()), over, AS_OF) is None
