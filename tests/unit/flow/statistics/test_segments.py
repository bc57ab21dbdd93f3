"""Segments: where a baseline begins, and how many points it has."""

from __future__ import annotations

from shared.flow.statistics.columns import Point
from shared.flow.statistics.segments import segments

POINTS = [Point(week, week) for week in range(1, 60) if week % 10]


def weeks(cuts: dict[int | None, int], over: int = 60) -> list[tuple[int, int, int]]:
    """First week, last week and size of each segment; -1 where it is empty."""
    known = [point for point in POINTS if point.week < over]
    return [
        (one.points[0].week if one.points else -1, one.points[-1].week if one.points else -1, one.size)
        for one in segments(known, cuts, over)
    ]


def test_without_a_relock_the_first_twenty_points_are_the_baseline() -> None:
    (one,) = segments(POINTS, {}, 60)

    assert [point.week for point in one.baseline] == [*range(1, 10), *range(11, 20), 21, 22]
    assert one.after[0].week == 23
    assert one.is_locked


def test_a_relock_begins_a_segment_with_its_own_baseline() -> None:
    assert weeks({25: 13, 40: 20}) == [(1, 24, 20), (25, 39, 13), (41, 59, 20)]
    assert weeks({None: 12, 25: 20}) == [(1, 24, 12), (25, 59, 20)]


def test_a_relock_from_before_the_first_point_leaves_one_segment() -> None:
    assert weeks({None: 12, 0: 15}) == [(1, 59, 15)]
    assert weeks({1: 15}) == [(1, 59, 15)]


def test_a_relock_counts_once_its_first_week_is_over() -> None:
    assert weeks({31: 13}, over=31) == [(1, 29, 20)]
    assert weeks({31: 13}, over=32) == [(1, 29, 20), (31, 31, 13)]


def test_a_segment_whose_weeks_have_no_value_is_empty() -> None:
    assert weeks({30: 13}, over=31) == [(1, 29, 20), (-1, -1, 13)]
    assert weeks({30: 13, 31: 14}, over=35) == [(1, 29, 20), (31, 34, 14)]


def test_a_chart_without_a_point_has_one_empty_segment() -> None:
    assert [(list(one.points), one.size, one.is_locked) for one in segments([], {}, 5)] == [([], 20, False)]
