"""Areas and rises by brute force; the chance of a count against closed forms and a simulated queue."""

from __future__ import annotations

from bisect import insort
from fractions import Fraction
from math import comb, exp, lgamma, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flow.rules.rule import Span
from shared.flow.statistics.crossings import CrossingModel, crossings_of
from tests.support.examples import examples


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start = draw(st.integers(-5, 25))
    return start, draw(st.none() | st.integers(start, 30))


def holding(found: list[Span], instant: int) -> int:
    return sum(start <= instant and (end is None or instant < end) for start, end in found)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(spans(), max_size=9), st.integers(0, 5), st.integers(6, 20))
def test_areas_and_rises_are_those_of_the_definition(found: list[Span], begin: int, end: int) -> None:
    seen = crossings_of(found, begin, end, day=4)

    levels = [holding(found, instant) for instant in range(begin, end)]
    starts = [start for start, stop in found if stop != start and begin <= start < end]
    # Spans are of whole numbers: just before an instant is all of the unit before it.
    busy = sum(start > begin and holding(found, start - 1) >= 1 for start in starts)
    time = sum(level >= 1 for level in levels)
    mean = Fraction(sum(levels), end - begin)
    assert seen.mean == mean
    assert seen.variance == Fraction(sum(level**2 for level in levels), end - begin) - mean**2
    assert (seen.reached, seen.busy_rises, seen.busy_time) == (len(starts), busy, time)
    assert seen.busy_rate == (float(Fraction(busy * 4, time)) if time else 0)
    assert seen.window_days == (end - begin) / 4


def test_a_rise_at_the_instant_of_a_fall_finds_the_count_as_it_was_before() -> None:
    assert crossings_of([(0, 5), (5, 7)], 0, 10).busy_rises == 1
    assert crossings_of([(0, 5), (6, 7)], 0, 10).busy_rises == 0
    assert crossings_of([(1, 5), (1, 7)], 0, 10).busy_rises == 0


def test_a_rise_at_the_begin_is_reached_but_was_not_seen_busy() -> None:
    seen = crossings_of([(-3, 9), (0, 4)], 0, 10)

    assert (seen.reached, seen.busy_rises) == (1, 0)


def poisson(mean: float, number: int) -> float:
    return exp(number * log(mean) - mean - lgamma(number + 1))


@pytest.mark.parametrize("number", [1, 2, 5, 8, 12, 20])
def test_without_bursts_and_with_a_long_past_the_count_is_that_of_m_g_infinity(number: int) -> None:
    """Arrivals at rate 2 a day to a set with 5 on average rise to n at rate 2 P(n - 1), Poisson (Mirasol; PASTA)."""
    model = CrossingModel(Fraction(5), 5.0, 2 * 10**9, 0.0, 1e9)

    assert model.openings(number) == pytest.approx(91 * 2 * poisson(5, number - 1), rel=1e-6)


@pytest.mark.parametrize(("size", "below"), [(3, 0), (3, 4), (7, 11)])
def test_probabilities_are_negative_binomial(size: int, below: int) -> None:
    """Of whole size s and share q: C(j + s - 1, j) q^s (1 - q)^j. Bursts of b make an excess of 1.5 b."""
    mean, reached, window = 6, 10**12, 100.0
    model = CrossingModel(Fraction(mean), mean * (1 + mean / size / 1.5), reached, 0.0, window)
    q = size / (size + mean)
    expected = comb(below + size - 1, below) * q**size * (1 - q) ** below

    assert model.openings(below + 1) / (91 * reached / window) == pytest.approx(expected, rel=1e-9)


def test_the_least_number_is_the_first_above_the_mean_that_is_seldom_enough() -> None:
    model = CrossingModel(Fraction(4), 6.0, 100, 0.0, 200.0)
    found = model.least_number(Fraction(1, 10))

    assert model.openings(found) <= 0.1 < model.openings(found - 1)
    assert found > 4


def test_a_great_budget_still_asks_for_more_than_usual() -> None:
    assert CrossingModel(Fraction(4), 4.0, 100, 0.0, 200.0).least_number(Fraction(10**6)) == 5
    assert CrossingModel(Fraction(9, 2), 4.0, 100, 0.0, 200.0).least_number(Fraction(10**6)) == 6


def test_the_budget_falls_with_the_number() -> None:
    model = CrossingModel(Fraction(4), 6.0, 100, 0.0, 200.0)
    found = [model.least_number(Fraction(1, each)) for each in (1, 10, 100, 1000)]

    assert found == sorted(set(found))


@pytest.mark.parametrize("mean", [Fraction(0), Fraction(1, 10**14), Fraction(1, 10**40), Fraction(9_999)])
def test_means_of_any_size_have_a_number(mean: Fraction) -> None:
    model = CrossingModel(mean, 0.0, 0, 0.0, 365.0)
    found = model.least_number(Fraction(1, 10))

    assert found > mean
    assert 0 <= model.openings(found) <= 0.1
    assert model.openings(10**6) >= 0


def test_a_number_far_above_is_never_reached() -> None:
    assert CrossingModel(Fraction(4), 4.0, 100, 0.0, 200.0).openings(10**9) == 0


def infinite_server(chance: Random, rate: float, stay: float, days: int) -> list[Span]:
    """Arrivals by chance that stay for lognormal times: microseconds would do; these are thousandths of a day."""
    found, now = [], -20.0 * stay
    while now < days:
        now += chance.expovariate(rate)
        found.append((round(now * 1000), round((now + stay * chance.lognormvariate(-0.32, 0.8)) * 1000)))
    return [span for span in found if span[0] < span[1]]


def rises_to(found: list[Span], number: int, begin: int, end: int) -> int:
    present, rises = list[int](), 0
    for start, stop in sorted(found):
        while present and present[0] <= start:
            present.pop(0)
        insort(present, stop)
        rises += len(present) == number and begin <= start < end
    return rises


@pytest.mark.parametrize("number", [5, 7, 9])
def test_a_simulated_queue_rises_as_often_as_it_should(number: int) -> None:
    """Forty years: the model's expectation lies within three deviations of what the queue did."""
    days = 40 * 365
    found = infinite_server(Random(15), rate=2, stay=2, days=days)
    seen, rises = crossings_of(found, 0, days * 1000, day=1000), rises_to(found, number, 0, days * 1000)

    expected = seen.model.openings(number) * days / 91
    assert seen.model.mean == pytest.approx(4, rel=0.05)
    assert abs(rises - expected) <= 3 * 1.5 * expected**0.5 + 0.02 * expected
