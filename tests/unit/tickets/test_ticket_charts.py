"""What is shown as the present: the newest count and the newest ages that are known, and nothing older beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from services.tickets.charts.ticket import ages_title, with_newest
from shared.contracts.problems import Evidence, ProblemData
from tests.support.problems import day, evidence, problem

DAY = 86_400


def told(at: float, total: int = 3, **fields: Any) -> ProblemData:
    """A problem whose evidence is of day `at`: its oldest deals are 30 days old and more."""
    shown = evidence(total).model_copy(update={"at": day(at)})
    return problem(evidence=shown, **fields)


@pytest.mark.parametrize(
    ("at", "cleared", "last"), [(1, None, (day(2), 59.0)), (3, None, (day(3), 12.0)), (3, 3, (day(2), 59.0))]
)
def test_what_was_told_is_the_newest_point_only_after_the_last_day(
    at: float, cleared: float | None, last: tuple[datetime, float]
) -> None:
    line = with_newest([(day(1), 46.0), (day(2), 59.0)], told(at, cleared=cleared), day(9))

    assert line[-1] == last


def title(data: ProblemData, oldest: float | None = 20, held: float = 7, median: float | None = None) -> str:
    """Of the chart of ages; `oldest` and `median` in days, at the end of day 2, where `held` deals were there."""
    lines = [[(day(2), value)] if value is not None else [] for value in (oldest, median)]
    return ages_title(data, lines[0], lines[1], [(day(2), held)], "Proposal", DAY)


def test_ages_are_those_of_the_deals_that_were_told_last() -> None:
    assert title(told(3), oldest=40) == "The longest has been in Proposal for 32 days"
    assert title(told(3, total=0), oldest=5) == "The longest has been in Proposal for 5 days"
    # A deal of the evidence may have gone since.
    assert title(told(1), oldest=5) == "The longest has been in Proposal for 5 days"
    assert title(told(3), oldest=None) == "The longest has been in Proposal for 32 days"
    # Deals that stand still are not the oldest ones of their stage.
    assert title(told(3, kind="stalled"), oldest=40) == "The longest has been in Proposal for 40 days"


def test_an_empty_stage_has_no_longest_stay() -> None:
    nobody = "No deal is in Proposal now"

    assert title(told(3, total=0, kind="wip-low"), oldest=5) == nobody
    assert title(told(1, kind="wip-low"), oldest=5, held=0) == nobody
    assert title(told(1), oldest=5, held=0) == nobody
    assert title(told(3, kind="wip-low"), oldest=5, held=0) == "The longest has been in Proposal for 32 days"


def test_nothing_is_said_of_ages_that_are_over_or_not_known() -> None:
    assert title(told(3, cleared=2)) == "How long deals were in Proposal"
    bare = problem(evidence=Evidence(at=day(0), total=0))
    assert ages_title(bare, [], [], [], "Proposal", DAY) == "How long deals were in Proposal"


def test_the_median_of_the_day_before_stands_beside_it_where_it_fits() -> None:
    assert title(told(3), median=9.5).endswith("; half of the deals for about 10 days or more")
    assert title(told(3), median=50) == "The longest has been in Proposal for 32 days"
