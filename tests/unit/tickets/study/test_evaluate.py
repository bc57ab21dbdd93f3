"""A study is the pure answer of `andon verify` over the final weeks, whatever came late within the lateness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from services.tickets.domain.plan import Countermeasure, Plan, Predicted
from services.tickets.domain.seal import SealedGround, SealedPlan, SealedWeeks
from services.tickets.study.change_weeks import weeks_around
from services.tickets.study.evaluate import StudyEvidence, evaluate
from services.tickets.study.known_weeks import RevisedChart
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.questions.verification import answer, printed
from shared.flow.statistics.sealing import NotShown
from shared.flow.statistics.verification import Conclusion, Verdict
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros

WEEKS = Weeks(micros(datetime(2025, 1, 1, tzinfo=UTC)), "Europe/Berlin")
MEASURE, OTHER = Chart("new", "demo", Column.WIP_END), Chart("new", "demo", Column.OPEN_AGE_MEAN)
LEAD = Chart("new", "", Column.LEAD_TIME_MEDIAN)
WEEK = 7 * 86_400_000_000
BEFORE, TRIGGER = 30, (26, 27)
# In the week after the last one before.
CHANGE = date(2025, 8, 6)
Values = Sequence[Fraction | None]


def sealed(**fields: Any) -> SealedPlan:
    predicted = Predicted(Fraction(3), SizeUnit.DIFFERENCE, "why")
    plan = Plan("aim", MEASURE, "change", Countermeasure.STEP, (), predicted, CHANGE, False, OTHER)
    weeks = SealedWeeks((), ())
    trigger = tuple(WEEKS.name(index + 1) for index in TRIGGER)
    ground = SealedGround("Europe/Berlin", trigger, None, weeks, weeks)
    at = datetime(2025, 8, 1, tzinfo=UTC)
    return SealedPlan(1, 1, 1, at, None, "", replace(plan, **fields), ground)


def chart(column: Column, before: Values, after: Values, was: Mapping[int, Any] | None = None) -> RevisedChart:
    """Weeks 1 to 30, the week of the change, and those after it."""
    values = [Fraction(99), *before, Fraction(99), *after]
    return RevisedChart.of(column, dict(enumerate(values)), was or {})


def evidence(charts: Mapping[Chart, RevisedChart], lateness: int = WEEK, **fields: Any) -> StudyEvidence:
    plan = fields.pop("sealed", None) or sealed()
    return StudyEvidence("aging", plan, weeks_around(plan, WEEKS), charts, (), (), lateness, **fields)


def pure(before: Values, after: Values, other: tuple[Values, Values]) -> dict[str, Any]:
    return answer(
        {
            "better": "lower",
            "before": before,
            "after": after,
            "trigger": list(TRIGGER),
            "prediction": {"size": Fraction(3), "as": "difference"},
            "balancing": {"better": "lower", "before": other[0], "after": other[1]},
        }
    )


def series(random: Random, length: int, middle: float) -> list[Fraction | None]:
    found = (Fraction(round(random.gauss(middle, 2), 2)).limit_denominator(100) for _ in range(length))
    return [None if random.random() < 0.06 else value for value in found]


def late(random: Random, values: Values, first: int, within: int) -> dict[int, list[tuple[int, Fraction | None]]]:
    """Other values that some weeks had before, each until an instant within the lateness of the week."""
    found: dict[int, list[tuple[int, Fraction | None]]] = {}
    for week in range(first, first + len(values)):
        if random.random() < 0.5:
            until = sorted(WEEKS.end(week) + random.randint(1, within) for _ in range(random.randint(1, 3)))
            found[week] = [(at, series(random, 1, 10)[0]) for at in until]
    return found


@pytest.mark.parametrize("seed", range(40))
def test_what_comes_within_the_lateness_counts_in_whatever_order(seed: int) -> None:
    random = Random(seed)
    before, after = series(random, BEFORE, 20), series(random, random.choice([3, 4, 8, 13, 26]), random.uniform(12, 21))
    other = series(random, BEFORE, 10), series(random, len(after), random.uniform(10, 13))
    charts = {
        MEASURE: chart(
            MEASURE.column, before, after, late(random, before, 1, WEEK) | late(random, after, BEFORE + 2, WEEK)
        ),
        OTHER: chart(OTHER.column, *other, late(random, other[1], BEFORE + 2, WEEK)),
    }

    result = evaluate(evidence(charts))

    assert printed(result.found, higher_is_better=False) == pure(before, after, other)


def test_what_comes_later_changes_no_verdict() -> None:
    before, after = [Fraction(20 + n % 5) for n in range(BEFORE)], [Fraction(9 + n % 3) for n in range(8)]
    week = BEFORE + 3
    edge = WEEKS.end(BEFORE + 5) + WEEK
    for until, verdict in ((edge, Verdict.VERIFIED), (edge + 1, None)):
        was = {week: [(until, Fraction(40))], week + 1: [(until, Fraction(40))]}
        found = evaluate(evidence({MEASURE: chart(MEASURE.column, before, after[:4], was)})).found

        # Known until then: the look of week 4 sees it only where that is after the edge.
        assert found.conclusion.verdict is verdict, until - edge


def test_a_change_of_the_reference_is_seen_by_later_looks_only() -> None:
    before, after = [Fraction(20 + n % 5) for n in range(BEFORE)], [Fraction(17)] * 8
    edge = WEEKS.end(BEFORE + 5) + WEEK
    was = {week: [(edge, value - 5)] for week, value in enumerate(before, 1)}
    charts = {MEASURE: chart(MEASURE.column, before, after, was)}

    found = evaluate(evidence(charts, sealed=sealed(balancing=None))).found

    assert [look.passed for look in found.looks] == [True]
    assert found.looks[0].twice_u == 2 * found.looks[0].m * 4
    longer = {week: [(edge + 1, value - 5)] for week, value in enumerate(before, 1)}
    charts = {MEASURE: chart(MEASURE.column, before, after, longer)}
    found = evaluate(evidence(charts, sealed=sealed(balancing=None))).found
    assert [(look.week, look.passed) for look in found.looks] == [(4, False), (8, True)]


def test_a_measure_waits_for_the_weeks_of_the_balancing_one() -> None:
    values = [Fraction(20 + n % 5) for n in range(BEFORE)], [Fraction(9)] * 8
    charts = {MEASURE: chart(MEASURE.column, *values), OTHER: chart(OTHER.column, values[0], values[1][:3])}

    assert evidence(charts).weeks_over == 3
    assert evaluate(evidence(charts)).found.conclusion == Conclusion()
    charts[OTHER] = chart(OTHER.column, values[0][:20], [])
    assert not evidence({**charts, OTHER: RevisedChart.of(OTHER.column, {1: None}, {})}).is_ready


def test_a_decided_verdict_stands() -> None:
    values = [Fraction(20 + n % 5) for n in range(BEFORE)], [Fraction(9)] * 4
    decided = Conclusion(Verdict.NOT_SHOWN, NotShown.WORSE, 13)

    found = evaluate(evidence({MEASURE: chart(MEASURE.column, *values)}), decided).found

    assert found.conclusion == decided
    assert found.looks[0].passed


@pytest.mark.parametrize(("lead", "improved"), [(25, False), (5, True), (None, None)])
def test_a_stage_may_move_without_the_customer_gaining(lead: int | None, improved: bool | None) -> None:
    before, after = [Fraction(20 + n % 5) for n in range(60)], [Fraction(9)] * 4
    # The lead times of a young log are no points: the change falls into the second year.
    plan = sealed(change_date=date(2026, 3, 4), balancing=None)
    charts = {MEASURE: chart(MEASURE.column, before, after)}
    if lead is not None:
        charts[LEAD] = chart(LEAD.column, before, [Fraction(lead)] * 4)

    result = evaluate(evidence(charts, sealed=plan))

    assert result.found.conclusion.verdict is Verdict.VERIFIED
    assert result.lead is not None
    assert result.lead.improved is improved


def test_the_lead_time_is_asked_only_of_a_stage_that_got_better() -> None:
    before = [Fraction(20 + n % 5) for n in range(BEFORE)]
    charts = {MEASURE: chart(MEASURE.column, before, before[:13])}

    assert evaluate(evidence(charts)).lead is None
