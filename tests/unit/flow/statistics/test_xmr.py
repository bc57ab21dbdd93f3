"""XmR limits and marks."""

from __future__ import annotations

from fractions import Fraction

import pytest

from shared.flow.statistics.columns import Point, Value
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.xmr import XmrChart, xmr

# Alternates by 2 around 20: moving ranges of 2, limits 20 +- 5.32, nearer to a limit beyond 20 +- 2.66.
STEADY = [19, 21] * 10


def drawn(*later: Value, baseline: list[int] = STEADY) -> XmrChart:
    found = xmr(Segment([Point(week, value) for week, value in enumerate([*baseline, *later], 1)], len(baseline)))
    assert found is not None
    return found


def marks(*later: Value) -> list[tuple[int, int, str]]:
    """Marks after the baseline: the number of the point, rule, side."""
    return [(one.week - 20, one.rule, one.side.value) for one in drawn(*later).marks]


def test_a_published_example() -> None:
    """Flow rates of ten batches: NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2, with 3/1.128 for 2.66."""
    rates = ["49.6", "47.6", "49.9", "51.3", "47.8", "51.2", "52.6", "52.4", "53.6", "52.1"]
    found = xmr(Segment([Point(week, Fraction(rate)) for week, rate in enumerate(rates)], 10))

    assert found is not None
    assert found.centre == Fraction("50.81")
    assert float(found.mean_moving_range) == pytest.approx(1.8778, abs=5e-5)
    assert float(found.upper) == pytest.approx(55.8041, abs=1e-3)
    assert float(found.lower or 0) == pytest.approx(45.8159, abs=1e-3)
    assert not found.marks


def test_limits_are_exact() -> None:
    found = drawn()

    assert (found.centre, found.mean_moving_range) == (20, 2)
    assert (found.upper, found.lower) == (20 + 2 * Fraction(133, 50), 20 - 2 * Fraction(133, 50))
    assert found.range_limit == 2 * Fraction(817, 250)


def test_a_point_on_a_limit_is_not_outside() -> None:
    assert marks(Fraction("25.32"), Fraction("14.68")) == []
    assert marks(Fraction("25.320001"), Fraction("14.679999")) == [(1, 1, "high"), (2, 1, "low")]


def test_the_eighth_point_in_a_row_on_one_side_is_marked_and_no_later_one() -> None:
    # The last point of the baseline is high already.
    assert marks(*[21] * 6) == []
    assert marks(*[21] * 20) == [(7, 2, "high")]
    assert marks(*[19] * 8) == [(8, 2, "low")]
    # A point on the centre ends a run.
    assert marks(*[21] * 6, 20, *[21] * 7) == []
    assert marks(*[21] * 6, 20, *[21] * 8) == [(15, 2, "high")]


def test_three_of_four_points_nearer_to_a_limit_are_marked_once() -> None:
    assert marks(23, 23) == []
    assert marks(23, 23, 19, 23) == [(4, 3, "high")]
    assert marks(23, 19, 19, 23, 23) == []
    assert marks(23, 23, 23, 23, 19, 19, 23, 23, 23) == [(3, 3, "high"), (9, 3, "high")]
    # Halfway is not nearer.
    assert marks(*[Fraction("22.66")] * 4) == []


def test_the_points_of_the_baseline_are_marked_too() -> None:
    found = drawn(baseline=[*STEADY[:-2], 60, 21])

    assert [(one.week, one.rule, one.in_baseline) for one in found.marks] == [(8, 2, True), (19, 1, True)]


def test_a_lower_limit_below_zero_is_none() -> None:
    found = drawn(0, 0, 0, 0, baseline=[1, 5] * 10)

    assert found.lower is None
    assert not [one for one in found.marks if one.week > 20]
    assert drawn(baseline=[value - 14 for value in STEADY]).lower == 6 - Fraction("5.32")


def test_a_lower_limit_of_zero_is_one() -> None:
    centre = 2 * Fraction(133, 50)
    values = [centre - 1, centre + 1] * 10
    found = xmr(Segment([Point(week, value) for week, value in enumerate(values)], 20))

    assert found is not None
    assert found.lower == 0


@pytest.mark.parametrize(
    "baseline",
    [[5] * 20, [5] * 11 + list(range(10, 19)), list(range(19))],
    ids=["no moving range", "more than half equal", "not complete"],
)
def test_what_is_not_drawn(baseline: list[int]) -> None:
    assert xmr(Segment([Point(week, value) for week, value in enumerate(baseline)], 20)) is None


def test_half_equal_points_are_drawn() -> None:
    assert drawn(baseline=[5] * 10 + list(range(10, 20)))
