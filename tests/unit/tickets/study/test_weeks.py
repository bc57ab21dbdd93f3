"""Which weeks lie before and after a change, which had the trouble, and what was known of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from services.tickets.study.change_weeks import ChangeWeeks, change_instant, judged_from, looks_of, weeks_around
from services.tickets.study.known_weeks import ALL_KNOWN, RevisedChart
from services.tickets.study.measures import is_higher_better, measures_of
from services.tickets.study.settling import settling_weeks, week_seconds
from services.tickets.study.trouble import sealed_opening, trouble_weeks
from shared.contracts.measures import Column
from shared.contracts.now import StayCurve
from shared.contracts.problems import CauseClass
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros, moment
from tests.support.plans import sealed
from tests.support.problems import policy, problem
from tests.support.week_messages import NEW_CLOSED, WEEKS, week_problem

# Week 0 of the log begins on 30 December 2024, in the zone of the policy.
MONDAY = date(2025, 3, 10)
CALENDAR_WEEK = 7 * 86_400


def around(day: date, settling: int = 0) -> ChangeWeeks:
    return ChangeWeeks(WEEKS, change_instant(day, settling, "Europe/Berlin"))


@pytest.mark.parametrize("days", range(7))
def test_the_week_of_the_change_is_in_neither(days: int) -> None:
    found = around(MONDAY + timedelta(days=days))

    # A change with which a week begins has none between.
    assert (found.end_before, found.first) == (10, 10 if days == 0 else 11)
    assert moment(found.end_of(0)) == moment(WEEKS.start(found.first))
    assert found.end_of(1) == WEEKS.end(found.first) == found.start_of(2)


def test_the_change_begins_at_midnight_of_the_policys_zone_also_when_clocks_change() -> None:
    # On 30 March 2025 clocks go forward; the week begins at 22:00 in UTC before, and an hour earlier after it.
    assert moment(around(date(2025, 3, 31)).at) == datetime(2025, 3, 30, 22, tzinfo=UTC)
    assert around(date(2025, 3, 31)).first == 13


def test_settling_moves_the_change_on() -> None:
    assert around(MONDAY, 3).first == around(MONDAY).first + 3
    assert around(MONDAY, 3).end_before == around(MONDAY).end_before + 3


def test_looks_are_over_on_mondays() -> None:
    assert around(MONDAY + timedelta(days=1)).looks(13) == (date(2025, 4, 14), date(2025, 5, 12), date(2025, 6, 16))


def test_no_week_lies_before_a_change_in_the_first_one() -> None:
    assert (around(date(2024, 12, 31)).end_before, around(date(2024, 12, 31)).first) == (1, 1)


def test_windows_name_their_trigger_weeks() -> None:
    found = trouble_weeks(week_problem("shift", NEW_CLOSED, range(30, 34), cause_class=CauseClass.SPECIAL), WEEKS)

    assert found.trigger == tuple(map(WEEKS.name, range(30, 34)))
    # It opened at the end of the last of them.
    assert found.opened == WEEKS.name(33)


def test_other_problems_have_the_week_of_their_opening_and_three_before() -> None:
    at = moment(WEEKS.start(20))
    found = trouble_weeks(problem(opened_at=at, cause_class=CauseClass.SPECIAL), WEEKS)

    assert (found.trigger, found.opened) == (tuple(map(WEEKS.name, range(17, 21))), WEEKS.name(20))
    assert trouble_weeks(problem(opened_at=at, cause_class=CauseClass.COMMON), WEEKS).opened is None


def test_a_window_is_sealed_with_the_level_that_it_had() -> None:
    data = week_problem("shift", NEW_CLOSED, range(30, 34), chance=0.25)
    found = sealed_opening(data, policy())

    assert found is not None
    assert (found.chart, found.level, len(found.baseline)) == (NEW_CLOSED, Fraction(1, 104), 20)
    assert sealed_opening(problem(), policy()) is None
    assert sealed_opening(data.model_copy(update={"chance": None}), policy()) is None


def test_measures_are_those_of_stage_and_pipeline_the_own_one_first() -> None:
    of_stage = measures_of(problem(stage="demo"), policy())
    of_pipeline = measures_of(week_problem("shift", NEW_CLOSED, range(30, 34)), policy())

    assert {chart.stage for chart in of_stage} == {"demo", ""}
    assert (len(of_stage), len(of_pipeline)) == (12, 5)
    assert of_pipeline[0] == NEW_CLOSED
    assert measures_of(problem(pipeline="gone"), policy()) == []
    assert measures_of(problem(pipeline="", stage=None, source="crm"), policy()) == []


def test_less_is_better_but_where_too_little_is_the_trouble() -> None:
    wip = Chart("new", "demo", Column.WIP_END)

    assert not is_higher_better(wip, "wip-high")
    assert is_higher_better(wip, "wip-low")
    assert is_higher_better(NEW_CLOSED, "shift")
    assert not is_higher_better(Chart("new", "demo", Column.TIME_IN_STAGE_MEDIAN), "wip-low")


def stays(median: float | None) -> StayCurve:
    return StayCurve(at=datetime(2026, 1, 5, tzinfo=UTC), finished=40, open=3, median_seconds=median, steps=())


@pytest.mark.parametrize(
    ("median", "weeks"),
    [(0.0, 0), (1.0, 1), (CALENDAR_WEEK, 1), (CALENDAR_WEEK + 1, 2), (9 * CALENDAR_WEEK, 4), (None, 4)],
)
def test_settling_is_the_median_stay_in_whole_weeks(median: float | None, weeks: int) -> None:
    assert settling_weeks(stays(median), [Fraction(10**9)], CALENDAR_WEEK) == weeks


def test_weekly_medians_stand_for_what_is_not_learned() -> None:
    assert settling_weeks(None, [Fraction(n * CALENDAR_WEEK) for n in (9, 2, 1)], CALENDAR_WEEK) == 2
    assert settling_weeks(None, [], CALENDAR_WEEK) == 0


def test_a_business_clock_has_weeks_of_its_own() -> None:
    assert week_seconds(policy(), "new", "demo") == CALENDAR_WEEK
    assert week_seconds(policy(), "new", "legal") == 5 * 8 * 3600


def test_weeks_count_until_the_first_that_has_not_come() -> None:
    weeks = {week: Fraction(week) for week in (0, 1, 2, 4, 5)}

    assert RevisedChart.of(Column.WIP_END, weeks, {}).over == 3
    assert RevisedChart.of(Column.WIP_END, weeks | {3: None}, {}).at(ALL_KNOWN) == [None, 1, 2, None, 4, 5]
    assert RevisedChart.of(Column.WIP_END, {}, {}).over == 0


def test_while_weeks_are_numbered_anew_the_first_to_come_are_no_beginning() -> None:
    weeks = {week: Fraction(week) for week in (5, 6, 7)}

    assert RevisedChart.of(Column.WIP_END, weeks, {}, is_renumbered=True).over == 0
    assert RevisedChart.of(Column.WIP_END, weeks, {}).over == 8


def test_a_value_is_known_until_another_is() -> None:
    was = {2: [(100, Fraction(7)), (200, None)]}
    found = RevisedChart.of(Column.WIP_END, {week: Fraction(week) for week in range(4)}, was)

    assert [found.at(instant)[2] for instant in (99, 100, 199, 200)] == [7, None, None, 2]


def test_the_lead_times_of_a_young_log_are_no_points() -> None:
    found = RevisedChart.of(Column.LEAD_TIME_MEDIAN, {week: Fraction(1) for week in range(30)}, {}).at(ALL_KNOWN)

    assert found == [*[None] * 27, 1, 1, 1]


def test_a_sealed_date_begins_in_the_zone_in_which_it_was_sealed() -> None:
    """Also where the policy, and with it the weeks of the log, has another zone by now."""
    moved = Weeks(micros(datetime(2026, 1, 1, tzinfo=UTC)), "America/New_York")

    assert moment(judged_from(sealed())) == datetime(2026, 12, 6, 23, tzinfo=UTC)
    assert weeks_around(sealed(), moved).at == judged_from(sealed())
    assert looks_of(sealed())[0] == date(2027, 1, 4)


def test_weeks_of_another_zone_begin_with_its_midnight() -> None:
    weeks = Weeks(micros(datetime(2025, 1, 1, tzinfo=UTC)), "America/New_York")
    found = ChangeWeeks(weeks, change_instant(MONDAY, 0, "America/New_York"))

    assert found.first == found.end_before == 10
