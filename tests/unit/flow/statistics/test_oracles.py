"""The statistics against independent implementations: lifelines for Kaplan-Meier, scipy for rank tests and trends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import repeat
from random import Random
from typing import Any

import pytest

from shared.flow.statistics.forecast import Outlook
from shared.flow.statistics.ranks import counts, critical, twice_u
from shared.flow.statistics.survival import Survival
from shared.flow.statistics.trend import falls_less_rises, slope, trend_z
from shared.flow.statistics.week_sums import Draws

# Both libraries take seconds to import.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SIZES = [(20, 4), (20, 8), (20, 13), (12, 4), (12, 8), (12, 13), (8, 4), (8, 8), (8, 13), (19, 13), (20, 6)]
LEVELS = [
    Fraction(1, 26 * 36),
    Fraction(4, 1000),
    Fraction(8, 1000),
    Fraction(1, 100),
    Fraction(13, 1000),
    Fraction(1, 20),
]


@pytest.fixture(scope="module")
def stats() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scipy import stats
    return stats


@pytest.fixture(scope="module")
def kaplan_meier() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import KaplanMeierFitter
    return KaplanMeierFitter


def stays(random: Random) -> tuple[list[int], list[int]]:
    """Finished times and ages of open visits, with ties in and between them."""
    finished = sorted(random.randint(1, random.choice((9, 400))) for _ in range(random.randint(1, 60)))
    return finished, sorted(random.randint(1, 300) for _ in range(random.randint(0, 40)))


@pytest.mark.parametrize("seed", range(40))
def test_shares_that_exceed_a_time_are_those_of_lifelines(kaplan_meier: Any, seed: int) -> None:
    finished, ages = stays(Random(seed))
    fitted = kaplan_meier().fit([*finished, *ages], [*repeat(1, len(finished)), *repeat(0, len(ages))])

    found = Survival(finished, ages)

    for time in range(0, 420, 7):
        assert float(found.exceeding(time)) == pytest.approx(float(fitted.predict(time)), abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_learned_limits_are_those_of_lifelines(kaplan_meier: Any, seed: int) -> None:
    finished, ages = stays(Random(seed))
    fitted = kaplan_meier().fit([*finished, *ages], [*repeat(1, len(finished)), *repeat(0, len(ages))])
    # Shares that no step of the curve equals: there lifelines rounds.
    for share in (Fraction(1501, 10007), Fraction(5003, 10007), Fraction(9001, 10007)):
        expected = fitted.percentile(float(share))

        found = Survival(finished, ages).quantile(share)

        assert (found is None) == (expected == float("inf"))
        assert found is None or found == expected


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_exact_counts_of_u_are_those_of_scipy(stats: Any, m: int, n: int) -> None:
    total = sum(counts(m, n))
    for u in range(0, m * n + 1, max(1, m * n // 40)):
        # Samples without ties whose U is u: late values each above as many reference values as are needed.
        reference, late = list(range(0, 2 * m, 2)), list(_late(u, m, n))
        assert twice_u(reference, late, higher=True) == 2 * u
        expected = stats.mannwhitneyu(late, reference, alternative="greater", method="exact")
        assert expected.statistic == u
        assert sum(counts(m, n)[u:]) / total == pytest.approx(expected.pvalue, rel=1e-9)


def _late(u: int, m: int, n: int) -> Iterator[float]:
    """n distinct values, of which u pairs with 0, 2, ..., 2m - 2 are above."""
    for number in range(n):
        above = min(m, u)
        u -= above
        yield 2 * above - 1 + number / (10 * n)


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_critical_values_are_those_of_scipy(stats: Any, m: int, n: int) -> None:
    reference = list(range(0, 2 * m, 2))

    def tail(u: int) -> float:
        late = list(_late(u, m, n))
        return float(stats.mannwhitneyu(late, reference, alternative="greater", method="exact").pvalue)

    for level in LEVELS:
        found = critical(m, n, level)
        assert found is not None or tail(m * n) > level
        if found is not None:
            assert tail(found) <= float(level)
            assert tail(found - 1) > float(level)


@pytest.mark.parametrize("seed", range(20))
def test_tied_pairs_count_one_half_as_in_scipy(stats: Any, seed: int) -> None:
    random = Random(seed)
    reference = [random.randint(0, 9) for _ in range(random.randint(8, 20))]
    late = [random.randint(0, 9) for _ in range(random.randint(4, 13))]

    for alternative, higher in (("greater", True), ("less", False)):
        # scipy counts pairs in which the first sample is the greater one, whatever the alternative.
        found = stats.mannwhitneyu(late, reference, alternative=alternative).statistic
        expected = found if higher else len(late) * len(reference) - found
        assert twice_u(reference, late, higher=higher) == 2 * expected


@pytest.mark.parametrize("seed", range(30))
def test_trends_are_those_of_kendall(stats: Any, seed: int) -> None:
    random = Random(seed)
    values = [random.randint(0, random.choice((5, 1000))) for _ in range(random.randint(12, 52))]

    tau = stats.kendalltau(range(len(values)), values, variant="c")

    # Without ties in time, tau c is the sum of signs over the pairs, scaled by the number of distinct values.
    distinct = min(len(set(values)), len(values))
    signs = -tau.statistic * len(values) ** 2 * (distinct - 1) / distinct / 2
    assert falls_less_rises(values) == pytest.approx(signs, abs=1e-6)
    asymptotic = stats.kendalltau(range(len(values)), values, method="asymptotic").pvalue
    assert 2 * stats.norm.sf(abs(trend_z(values))) == pytest.approx(asymptotic, rel=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_slopes_are_those_of_theil_and_sen(stats: Any, seed: int) -> None:
    random = Random(seed)
    values = [random.randint(0, random.choice((5, 1000))) for _ in range(random.randint(2, 52))]

    expected = stats.theilslopes(values, range(len(values))).slope

    assert float(slope(values)) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("weeks", [1, 4, 13])
def test_sums_of_poisson_weeks_are_poisson(stats: Any, weeks: int) -> None:
    mean, size = 8, 4000
    history = [count for count in range(40) for _ in range(round(size * float(stats.poisson.pmf(count, mean))))]
    draws = Draws(history)

    assert float(draws.mean) == pytest.approx(mean, rel=1e-3)
    for p in (Fraction(1, 20), Fraction(3, 20), Fraction(19, 20)):
        assert abs(draws.quantile(weeks, p) - int(stats.poisson.ppf(float(p), weeks * mean))) <= 1


def test_a_promise_from_poisson_weeks_has_its_closed_form(stats: Any) -> None:
    """Of a history without memory, the promise is the quantile of a Poisson sum, widened by sqrt(1 + H/B)."""
    random, mean, weeks = Random(7), 50, 4
    while True:
        history = [int(count) for count in stats.poisson.rvs(mean, size=52, random_state=random.randint(0, 10**6))]
        outlook = Outlook(history)
        if outlook.phi == 0:
            break

    variance = float(Draws(history).variance)
    expected = weeks * sum(history) / 52 + stats.norm.ppf(0.15) * (variance * weeks * (1 + weeks / 52)) ** 0.5

    assert outlook.at_least(weeks) == pytest.approx(expected, abs=2)
