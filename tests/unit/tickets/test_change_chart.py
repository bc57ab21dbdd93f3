"""The chart of a change: the weeks of the seal's reference beside those after it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from services.tickets.charts.change import change_chart
from services.tickets.store.weekly_points import ChartWeeks
from shared.flow.statistics.columns import Value
from tests.support.plans import WAITING, sealed
from tests.support.problems import policy
from tests.support.week_messages import WEEKS

# Two parts of a microsecond of a day: medians are kept as sums of two times.
DAY = 2 * 86_400 * 10**6
# The change is on Monday of this week.
FIRST = WEEKS.number("2026-W50")


def known(over: int, **values: Value | None) -> ChartWeeks:
    """Twenty days in every week before the change, ten from it on; `values` by ISO name, with _ for -."""
    weeks: list[Value | None] = [DAY * 20 if week < FIRST else DAY * 10 for week in range(over)]
    for name, value in values.items():
        weeks[WEEKS.number(name.replace("_", "-"))] = value
    return ChartWeeks(WEEKS, over, {WAITING: weeks})


def test_the_weeks_after_the_change_stand_beside_the_reference() -> None:
    chart = change_chart(sealed(), known(FIRST + 3), policy())

    assert chart is not None
    assert chart.title == "Time in stage (median): usually 20 days before the change, 10 days after it"
    assert [(name, len(weeks)) for name, weeks in chart.groups.items()] == [
        ("20 weeks before the change", 20),
        ("3 weeks after it", 3),
    ]
    assert chart.groups["3 weeks after it"][0] == ("2026-W50", 10.0)
    assert (chart.middle, chart.middle_name) == (20.0, "usual before the change")


def test_no_more_weeks_are_shown_than_are_studied() -> None:
    chart = change_chart(sealed(), known(FIRST + 30), policy())

    assert chart is not None
    assert "13 weeks after it" in chart.groups


def test_weeks_without_a_value_are_left_out() -> None:
    chart = change_chart(
        sealed(), known(FIRST + 2, **{"2026_W26": None, "2026_W50": None, "2026_W51": Fraction(DAY * 3, 2)}), policy()
    )

    assert chart is not None
    assert chart.groups == {
        "19 weeks before the change": chart.groups["19 weeks before the change"],
        "1 week after it": [("2026-W51", 1.5)],
    }


@pytest.mark.parametrize("over", [0, 10, FIRST])
def test_before_the_first_week_is_over_there_is_no_chart(over: int) -> None:
    assert change_chart(sealed(), ChartWeeks(WEEKS, over, {WAITING: [DAY] * over}), policy()) is None
