"""The cause class: the chart's last point when the problem opens decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from shared.contracts.problems import CauseClass
from shared.flow.rules import KINDS
from shared.flow.statistics.cause import Cause, cause_of
from shared.flow.statistics.columns import Column, Point
from shared.flow.statistics.segments import Segment, segments

STEADY = [10, 12, 9, 11, 13] * 4


def charts(
    values: dict[Column, list[int]], cuts: dict[int | None, int] | None = None
) -> Callable[[Column], Sequence[Segment]]:
    def of(column: Column) -> Sequence[Segment]:
        points = [Point(week, value) for week, value in enumerate(values.get(column, []), 1)]
        return segments(points, cuts or {}, len(points) + 1)

    return of


def test_a_signal_on_one_of_the_charts_is_special() -> None:
    found = charts({Column.OPEN_AGE_MEAN: STEADY + [11] * 4, Column.TIME_IN_STAGE_MEDIAN: STEADY + [50] * 4})

    assert cause_of(KINDS["aging"].cause_charts, 25, found).cause is CauseClass.SPECIAL
    assert cause_of(KINDS["stalled"].cause_charts, 25, found).cause is CauseClass.SPECIAL


def test_no_signal_is_common_where_one_chart_can_be_asked() -> None:
    found = charts({Column.OPEN_AGE_MEAN: STEADY + [11] * 4, Column.TIME_IN_STAGE_MEDIAN: STEADY[:3]})

    assert cause_of(KINDS["aging"].cause_charts, 25, found) == Cause(CauseClass.COMMON, 24, 24)


def test_too_few_points_are_unknown_and_counted() -> None:
    found = charts({Column.OPEN_AGE_MEAN: STEADY + [50] * 3, Column.TIME_IN_STAGE_MEDIAN: STEADY})

    assert cause_of(KINDS["aging"].cause_charts, 25, found) == Cause(CauseClass.UNKNOWN, 23, 24)
    assert cause_of(KINDS["aging"].cause_charts, 25, charts({})) == Cause(CauseClass.UNKNOWN, 0, 24)


@pytest.mark.parametrize(("kind", "late"), [("wip-high", 50), ("wip-low", 1)])
def test_wip_is_asked_on_the_side_of_the_rule(kind: str, late: int) -> None:
    assert (
        cause_of(KINDS[kind].cause_charts, 25, charts({Column.WIP_END: STEADY + [late] * 4})).cause
        is CauseClass.SPECIAL
    )
    assert (
        cause_of(KINDS[kind].cause_charts, 25, charts({Column.WIP_END: STEADY + [51 - late] * 4})).cause
        is CauseClass.COMMON
    )


def test_only_weeks_that_are_over_count() -> None:
    found = charts({Column.WIP_END: STEADY + [11] * 4 + [50] * 8 + [11] * 8})

    classes = [cause_of(KINDS["wip-high"].cause_charts, over, found).cause for over in range(23, 42)]
    assert classes[:2] == [CauseClass.UNKNOWN] * 2
    assert classes[2] is CauseClass.COMMON
    assert CauseClass.SPECIAL in classes
    assert classes[-1] is CauseClass.COMMON


def test_the_segment_of_the_last_point_is_asked() -> None:
    found = charts({Column.WIP_END: STEADY + [50] * 20}, {25: 12})

    assert cause_of(KINDS["wip-high"].cause_charts, 25, found).cause is CauseClass.SPECIAL
    assert cause_of(KINDS["wip-high"].cause_charts, 26, found) == Cause(CauseClass.UNKNOWN, 1, 16)
    assert cause_of(KINDS["wip-high"].cause_charts, 41, found) == Cause(CauseClass.COMMON, 16, 16)


def test_a_rule_without_charts_is_special_by_itself() -> None:
    assert cause_of((), 25, charts({})).cause is CauseClass.SPECIAL


def test_every_kind_with_limits_of_its_own_has_charts() -> None:
    assert {kind for kind, rule in KINDS.items() if not rule.cause_charts} <= {"aging-learned"}
