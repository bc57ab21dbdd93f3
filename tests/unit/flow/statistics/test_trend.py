"""Trends against their definition, sign by sign and slope by slope."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flow.statistics.trend import falls_less_rises, slope, trend_z

VALUES = st.lists(st.integers(-5, 5) | st.fractions(-5, 5, max_denominator=7), min_size=2, max_size=14)


@given(VALUES)
def test_the_sum_counts_each_pair_once(values: list[Fraction]) -> None:
    pairs = [(values[i], values[j]) for j in range(len(values)) for i in range(j)]

    assert falls_less_rises(values) == sum(a > b for a, b in pairs) - sum(a < b for a, b in pairs)


@given(VALUES)
def test_z_is_the_sum_in_standard_deviations(values: list[Fraction]) -> None:
    length, ties = len(values), [values.count(value) for value in set(values)]
    var = Fraction(length * (length - 1) * (2 * length + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties), 18)

    expected = falls_less_rises(values) / math.sqrt(var) if var else 0.0

    assert trend_z(values) == pytest.approx(expected, rel=1e-12)


@given(VALUES)
def test_the_slope_is_the_median_of_all(values: list[Fraction]) -> None:
    slopes = [Fraction(values[j] - values[i]) / (j - i) for j in range(len(values)) for i in range(j)]

    assert slope(values) == median(slopes)


@given(VALUES)
def test_turned_around_it_is_the_opposite(values: list[Fraction]) -> None:
    assert falls_less_rises(values[::-1]) == -falls_less_rises(values)
    assert slope(values[::-1]) == -slope(values)
    assert slope([3 * value + index for index, value in enumerate(values)]) == 3 * slope(values) + 1


@pytest.mark.parametrize("values", [[], [4], [4, 4], [4, 4, 4, 4]])
def test_without_a_difference_there_is_no_trend(values: list[int]) -> None:
    assert trend_z(values) == 0.0


def test_ten_rising_weeks() -> None:
    # 45 pairs, and a variance of 10 * 9 * 25 / 18 = 125.
    assert trend_z(range(10)) == pytest.approx(-45 / math.sqrt(125))
    assert slope(range(10)) == 1
