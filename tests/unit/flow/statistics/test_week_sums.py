"""Sums of drawn weeks against the list of all of them."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flow.statistics.week_sums import Draws

P = st.fractions(0, 1, max_denominator=400).filter(lambda p: p > 0)
WEEKS = st.lists(st.integers(0, 6) | st.sampled_from([0, 50, 1000]), min_size=1, max_size=5)


@given(WEEKS, st.integers(1, 5), P)
def test_a_quantile_is_that_of_all_ordered_draws(weeks: list[int], draws: int, p: Fraction) -> None:
    sums = sorted(map(sum, product(weeks, repeat=draws)))

    assert Draws(weeks).quantile(draws, p) == sums[ceil(p * len(sums)) - 1]


@given(WEEKS, st.integers(1, 4), st.data())
def test_a_probability_that_is_just_reached_counts(weeks: list[int], draws: int, data: st.DataObject) -> None:
    sums = sorted(map(sum, product(weeks, repeat=draws)))
    rank = data.draw(st.integers(1, len(sums)))

    assert Draws(weeks).quantile(draws, Fraction(rank, len(sums))) == sums[rank - 1]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=52))
def test_mean_and_variance(weeks: list[int]) -> None:
    mean = Fraction(sum(weeks), len(weeks))

    assert Draws(weeks).mean == mean
    assert Draws(weeks).variance == sum((week - mean) ** 2 for week in weeks) / len(weeks)


@pytest.mark.parametrize(
    ("draws", "p", "sum_"), [(4, Fraction(1, 2), 26), (52, Fraction(1), 52 * 13), (52, Fraction(1, 10**60), 0)]
)
def test_a_year_of_weeks(draws: int, p: Fraction, sum_: int) -> None:
    # 0 to 13, four times each: symmetric about 6.5.
    assert Draws(list(range(14)) * 4).quantile(draws, p) == sum_
