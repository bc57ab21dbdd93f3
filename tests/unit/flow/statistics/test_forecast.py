"""Forecasts against their definition, worked out in another way, and a closed form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.flow.statistics.columns import Chart, Column
from shared.flow.statistics.forecast import Outlook, WhyNot, back_test, forecast
from shared.flow.statistics.questions.fields import QuestionError
from shared.flow.statistics.questions.forecast import answer
from shared.flow.statistics.ranks import memory, vif
from tests.support.examples import examples
from tests.support.printed_log import LOGS, PrintedLog
from tests.support.variation_cases import SeriesCase, cases, same

CASES = cases("forecast")
WEEKS = st.lists(st.integers(0, 12), min_size=20, max_size=70)
IDLE = st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 9]), min_size=20, max_size=30)
QUESTION: dict[str, Any] = {"ask": "forecast", "throughput": [8, 7, 13, 6, 7, 8] * 4, "open": 40}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_forecast_case(case: SeriesCase) -> None:
    assert same(answer(case.question), case.expected), case.why


def test_every_forecast_case_is_read() -> None:
    assert len(CASES) == 12


def closings(history: Sequence[int], weeks: int, p: Fraction) -> float:
    """The widened quantile, by adding one week after the other."""
    sums = Counter({0: 1})
    for _ in range(weeks):
        added: Counter[int] = Counter()
        for total, count in sums.items():
            for week in history:
                added[total + week] += count
        sums = added
    reached, total = 0, -1
    while reached < p * len(history) ** weeks:
        total += 1
        reached += sums[total]
    phi, mean = memory(history), weeks * Fraction(sum(history), len(history))
    width = math.sqrt(vif(phi, weeks) + vif(phi, len(history)) * weeks / len(history))
    return float(mean + Fraction(width) * (total - mean))


def at_least(history: Sequence[int], weeks: int) -> int:
    return max(0, math.floor(closings(history, weeks, Fraction(15, 100)) + 1e-9))


@given(WEEKS | IDLE, st.integers(1, 6))
@settings(max_examples=examples(60))
def test_promise_and_range_are_widened_quantiles(history: list[int], weeks: int) -> None:
    history = history[-52:]
    low, high = closings(history, weeks, Fraction(5, 100)), closings(history, weeks, Fraction(95, 100))

    assert Outlook(history).at_least(weeks) == at_least(history, weeks)
    assert Outlook(history).between(weeks) == (
        max(0, math.floor(low + 1e-9)),
        max(0, math.ceil(high - 1e-9)),
    )


@given(WEEKS | IDLE, st.integers(1, 700))
@settings(max_examples=examples(60))
@example([0] * 19 + [60], 1)
@example([10] * 20, 520)
@example([10] * 20, 521)
def test_done_is_the_first_week_that_promises_as_many_as_are_open(history: list[int], open_deals: int) -> None:
    outlook = Outlook(history[-52:])

    # Each week is asked: the bound that spares some of them must spare none that counts.
    expected = next((weeks for weeks in range(1, 53) if outlook.at_least(weeks) >= open_deals), None)

    assert outlook.weeks_until(open_deals) == expected


@given(WEEKS)
@settings(max_examples=examples(30))
def test_the_back_test_sees_only_the_past(history: list[int]) -> None:
    origins = [k for k in range(len(history)) if k >= 20 and k + 4 <= len(history)][-13:]
    kept = [k for k in origins if sum(history[k : k + 4]) >= at_least(history[:k][-52:], 4)]

    found = back_test(history)

    assert (found.kept, found.of) == (len(kept), len(origins))


def test_without_memory_the_deviation_has_a_closed_form() -> None:
    history = [2, 3, 9, 0, 7, 1]
    weeks, length, mean = 4, 6, Fraction(22, 6)
    outlook = Outlook(history)
    ways = length**weeks

    # Every one of the equally likely draws by its rank.
    distances = [
        (outlook.closings(weeks, Fraction(rank, ways)) - float(weeks * mean)) ** 2 for rank in range(1, ways + 1)
    ]

    variance = sum((week - mean) ** 2 for week in history) / length
    assert outlook.phi == 0
    assert math.sqrt(sum(distances) / ways) == pytest.approx(
        math.sqrt(variance * weeks * (1 + Fraction(weeks, length)))
    )


@pytest.mark.parametrize(
    ("history", "silent", "why"),
    [
        ([5, 6] * 9 + [5], True, WhyNot.TOO_FEW_WEEKS),
        (list(range(20)), True, WhyNot.TREND),
        (list(range(20))[::-1], False, WhyNot.TREND),
        ([5, 6] * 20 + [9] * 4 + [8] * 4, True, WhyNot.TREND),
        ([1, 2] * 6 + [5, 6] * 10 + [1, 2] * 4, True, WhyNot.RECENT_CHANGE),
        ([5, 6] * 10, True, WhyNot.SILENCE),
        ([5, 6] * 10, False, None),
    ],
)
def test_the_first_reason_counts(history: list[int], silent: bool, why: WhyNot | None) -> None:
    found = forecast(history, 10, silent=silent)

    assert found.why == why
    assert (found.at_least is None) == (found.range is None) == (why is not None)
    assert (found.backtest is None) == (found.phi is None) == (why is WhyNot.TOO_FEW_WEEKS)


def test_weeks_older_than_a_year_promise_nothing() -> None:
    year = [8, 7, 13, 6] * 13
    found, of_year = forecast([900] * 30 + year, 40, silent=False), forecast(year, 40, silent=False)

    assert (found.weeks, found.phi, found.at_least) == (52, of_year.phi, of_year.at_least)


def test_nobody_waits_for_nothing() -> None:
    assert forecast([0] * 20, 0, silent=False).done_in_weeks == 0
    assert forecast([0] * 20, 1, silent=False).done_in_weeks is None
    assert forecast([0] * 20, 1, silent=False).range == {4: (0, 0), 13: (0, 0)}


@pytest.mark.parametrize("name", LOGS)
def test_forecasts_of_a_log(name: str) -> None:
    log = PrintedLog(name)

    for pipeline, expected in log.expected("forecast").items():
        segment = log.segments(Chart(pipeline, "", Column.THROUGHPUT), log.judged)[-1]
        throughput = [int(point.value) for point in segment.points]
        found = answer({"ask": "forecast", "throughput": throughput, "open": expected["open"]})
        assert same(found, expected), pipeline


def test_a_week_without_a_value_is_no_point() -> None:
    with_gap = [*QUESTION["throughput"][:3], None, *QUESTION["throughput"][3:]]

    assert answer({**QUESTION, "throughput": with_gap}) == answer(QUESTION)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"throughput": None}, "throughput: is missing"),
        ({"throughput": [1, -1]}, r"throughput\[1\]: -1"),
        ({"throughput": [Fraction(1, 2)]}, r"throughput\[0\]: 1/2"),
        ({"throughput": [10**6]}, r"throughput\[0\]"),
        ({"throughput": [True]}, r"throughput\[0\]"),
        ({"open": None}, "open: is missing"),
        ({"open": -1}, "open: -1"),
        ({"silence": 1}, "silence: 1"),
        ({"weeks": 4}, "weeks: no such field"),
    ],
)
def test_what_cannot_be_answered_names_the_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(QuestionError, match=says):
        answer({**QUESTION, **change})
