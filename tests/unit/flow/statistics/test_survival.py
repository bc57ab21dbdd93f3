"""Kaplan-Meier against its textbook definition, and a published example."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flow.statistics.survival import Survival
from tests.support.examples import examples

_TIMES = st.lists(st.integers(0, 12), max_size=12)
# Weeks in remission of 21 patients under 6-MP: Freireich et al. 1963, Blood 21:699.
RELAPSED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def exceeding(finished: list[int], ages: list[int], time: int) -> Fraction:
    """One factor for each time at which visits end, of those that last at least as long."""
    share = Fraction(1)
    for end in sorted({end for end in finished if end <= time}):
        at_risk = sum(one >= end for one in finished + ages)
        share *= Fraction(at_risk - finished.count(end), at_risk)
    return share


@settings(max_examples=examples(500), deadline=None)
@given(_TIMES, _TIMES, st.integers(0, 13))
def test_the_share_that_exceeds_a_time_is_the_product_of_the_definition(
    finished: list[int], ages: list[int], time: int
) -> None:
    assert Survival(sorted(finished), sorted(ages)).exceeding(time) == exceeding(finished, ages, time)


@settings(max_examples=examples(500), deadline=None)
@given(
    _TIMES, _TIMES, st.sampled_from([Fraction(3, 20), Fraction(1, 2), Fraction(1, 3), Fraction(0), Fraction(11, 12)])
)
def test_a_quantile_is_the_least_time_that_few_enough_exceed(
    finished: list[int], ages: list[int], share: Fraction
) -> None:
    expected = next((time for time in range(13) if exceeding(finished, ages, time) <= share), None)

    assert Survival(sorted(finished), sorted(ages)).quantile(share) == expected


@pytest.mark.parametrize(
    ("week", "share"),
    [(5, 1.0), (6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)],
)
def test_remission_times(week: int, share: float) -> None:
    assert float(Survival(RELAPSED, CENSORED).exceeding(week)) == pytest.approx(share, abs=0.0006)


def test_the_median_remission_is_the_published_one() -> None:
    assert Survival(RELAPSED, CENSORED).quantile(Fraction(1, 2)) == 23


def test_exactly_the_share_is_few_enough() -> None:
    assert Survival(list(range(1, 21)), []).quantile(Fraction(3, 20)) == 17
    assert Survival(list(range(1, 21)), [99]).quantile(Fraction(3, 20)) == 18


def test_nothing_finished_has_no_quantile() -> None:
    assert Survival([], [1, 2]).quantile(Fraction(3, 20)) is None
    assert Survival([], []).quantile(Fraction(3, 20)) is None
    assert Survival([], [1, 2]).exceeding(5) == 1


def test_visits_of_no_time_on_the_clock_count() -> None:
    assert Survival([0] * 17 + [5] * 3, []).quantile(Fraction(3, 20)) == 0


def test_a_limit_is_exact_where_doubles_round() -> None:
    """17 of 20 with a censored visit in between: 3/20 only by exact products."""
    finished = [1] * 3_000 + [2] * 5_500
    found = Survival(finished, [3] * 1_500)

    assert found.exceeding(2) == Fraction(3, 20)
    assert found.quantile(Fraction(3, 20)) == 2
