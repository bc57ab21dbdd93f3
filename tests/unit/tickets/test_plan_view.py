"""Sealed plans in words: what is predicted, when the looks are, what it is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from services.tickets.domain.plan import Predicted
from services.tickets.domain.seal import SealedWeeks
from services.tickets.web import plan_words
from services.tickets.web.plan_view import SealedView, sealed_view
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.sealing import NotShown
from shared.policy import StageTitles
from tests.support.plans import WON, plan, sealed
from tests.support.problems import policy

POLICY = policy()
TITLES = StageTitles.of(POLICY)


def view(kind: str = "aging", **fields: Any) -> SealedView:
    return sealed_view(sealed(**fields), kind, POLICY, TITLES)


@pytest.mark.parametrize(
    ("column", "kind", "size", "unit", "words"),
    [
        (Column.TIME_IN_STAGE_MEDIAN, "aging", Fraction(3, 10), SizeUnit.SHARE, "30 % shorter"),
        (Column.TIME_IN_STAGE_MEDIAN, "aging", Fraction(4 * 86_400), SizeUnit.DIFFERENCE, "4 days shorter"),
        (Column.WIP_END, "wip-high", Fraction(5), SizeUnit.DIFFERENCE, "5 deals fewer"),
        (Column.WIP_END, "wip-low", Fraction(5), SizeUnit.DIFFERENCE, "5 deals more"),
        (Column.ARRIVALS, "wip-low", Fraction(1, 8), SizeUnit.SHARE, "12.5 % more"),
        (Column.REWORK_RATE, "rework", Fraction(3, 100), SizeUnit.DIFFERENCE, "3 percentage points smaller"),
        (Column.TIME_IN_STAGE_P85, "aging", Fraction(86_400), SizeUnit.DIFFERENCE, "1 day shorter"),
        (Column.TIME_IN_STAGE_P85, "aging", Fraction(45 * 864), SizeUnit.DIFFERENCE, "0.45 days shorter"),
        (Column.REWORK_RATE, "rework", None, SizeUnit.DIFFERENCE, "smaller (no size predicted)"),
    ],
)
def test_a_prediction_is_in_the_words_of_its_measure(
    column: Column, kind: str, size: Fraction | None, unit: SizeUnit, words: str
) -> None:
    predicted = Predicted(size, unit, "Because.")

    assert view(kind, measure=Chart("new", "proposal", column), predicted=predicted).prediction == words


def test_the_looks_are_on_mondays_after_whole_weeks() -> None:
    on_monday, later = view(change_date=date(2026, 12, 7)), view(change_date=date(2026, 12, 8))

    assert on_monday.looks == (date(2027, 1, 4), date(2027, 2, 1), date(2027, 3, 8))
    assert later.looks == (date(2027, 1, 11), date(2027, 2, 8), date(2027, 3, 15))
    assert on_monday.looks_in_words == "4 January 2027, 1 February 2027 and 8 March 2027"


def test_the_weeks_that_are_compared_with_are_named() -> None:
    shown = view()

    assert shown.reference_words == "20 weeks, from that of 22 June 2026 to that of 2 November 2026"
    assert len(shown.reference) == 20
    ground = sealed().ground
    one = replace(ground, measure=replace(ground.measure, reference=("2026-W26",)))
    assert view(ground=one).reference_words == "1 week, that of 22 June 2026"
    assert shown.left_out == ["9 November 2026", "16 November 2026"]
    assert shown.judged == ["In 13 weeks this measure can show a lasting change of 25 % or more."]


def test_a_plan_that_cannot_be_tested_says_so() -> None:
    one = sealed()
    weeks = SealedWeeks((), (), untestable=NotShown.TOO_FEW_WEEKS_BEFORE)
    shown = sealed_view(replace(one, ground=replace(one.ground, measure=weeks)), "aging", POLICY, TITLES)

    assert shown.reference_words == "no week: there is nothing to compare with"
    assert shown.judged[0] == "When it was sealed, too few weeks were there to test it."


def test_a_trend_and_weeks_of_settling_are_told() -> None:
    one = sealed(new_entries_only=True)
    ground = replace(one.ground, settling=2, measure=replace(one.ground.measure, slope=Fraction(1, 3)))
    shown = sealed_view(replace(one, ground=ground), "aging", POLICY, TITLES)

    assert shown.judged[1:] == [
        "It was already getting better: it must beat its own trend.",
        "The first 2 weeks after the change do not count: deals that came in before it are still on their way.",
    ]
    assert shown.entries == "only for deals that come in from then on"
    assert shown.looks[0] == date(2027, 1, 18)


def test_measures_are_offered_by_place_with_what_is_better() -> None:
    charts = [Chart("new", "proposal", Column.WIP_END), WON]

    assert plan_words.measure_groups(charts, "wip-low", POLICY, TITLES) == {
        "Of the stage Proposal": {charts[0].name: "Deals in work at the end of the week: more is better"},
        "Of the whole pipeline New business": {WON.name: "Share of closed deals that were won: greater is better"},
    }


def test_sealing_says_what_it_does() -> None:
    told = " ".join(plan_words.consequences(plan(), view().looks))

    assert "Nothing in the plan can be changed any more" in told
    assert "From 7 December 2026 on, Andon compares" in told
    assert "It looks 3 times, on 4 January 2027, 1 February 2027 and 8 March 2027" in told
