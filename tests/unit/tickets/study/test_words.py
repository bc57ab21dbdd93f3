"""What a manager reads of a study, and of a plan before it is sealed: the sentences of the specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from services.tickets.domain.plan import Predicted
from services.tickets.domain.seal import SealedWeeks
from services.tickets.study.change_weeks import ChangeWeeks, change_instant
from services.tickets.study.ground import PlanGround
from services.tickets.study.known_weeks import RevisedChart
from services.tickets.study.outlook_words import plan_sentences, study_names
from services.tickets.study.planning import MeasureOutlook, PlanOutline, outlook
from services.tickets.study.trouble import TroubleWeeks
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import Effect, Prediction, PredictionResult, SizeUnit
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.interim_looks import ChangeLook
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.verification import BalancingSeries, StudiedChange, verify
from shared.policy import StageTitles
from shared.wording.quantities import CALENDAR_DAY
from shared.wording.studies import (
    StudyNames,
    balancing_note,
    confounded_note,
    effect_sentence,
    hold_sentence,
    look_sentence,
    moved_note,
    result_sentence,
    verdict_sentence,
)
from tests.support.problems import policy
from tests.support.week_messages import WEEKS

WIP = StudyNames("Deals in work at the end of the week", Column.WIP_END, CALENDAR_DAY, "Deals that left")
TIME = StudyNames("Time in stage (median)", Column.TIME_IN_STAGE_MEDIAN, CALENDAR_DAY)
RATE = StudyNames("Share of deals that came back", Column.REWORK_RATE, CALENDAR_DAY)
USUAL = [Fraction(20 + (week * 7) % 5 - 2) for week in range(30)]
BEGIN = date(2025, 8, 4)


def change(after: Sequence[int | None], **fields: Any) -> StudiedChange:
    values = [None if value is None else Fraction(value) for value in after]
    usual: dict[str, Any] = {"higher_is_better": False, "before": USUAL, "after": values, "ground": Ground()}
    return StudiedChange(**usual | fields)


WORSE = BalancingSeries(False, USUAL, [Fraction(40)] * 13)


@pytest.mark.parametrize(
    ("studied", "sentence"),
    [
        (
            change([9] * 4),
            "Of 100 pairs of a week before and a week after, in 100 the later was better; by chance fewer than 4 in"
            " 1,000.",
        ),
        (
            change([20] * 3 + [9] * 5),
            "Of 100 pairs of a week before and a week after, in 81 the later was better; by chance fewer than 8 in"
            " 1,000.",
        ),
        (
            change([20] * 13),
            "In 50 of 100 pairs the later week was better; 74 were needed. The weeks do not show a change.",
        ),
        (change([None] * 6 + [9] * 7), "Only 7 of 13 weeks after the change have a value."),
        (change([40] * 13), "In 100 of 100 pairs the later week was worse."),
        (change([], before=USUAL[:7]), "Only 7 weeks to compare with; 8 are needed."),
        (change([], before=USUAL[:1]), "Only 1 week to compare with; 8 are needed."),
        (change([], before=USUAL[:11]), "Only 11 weeks show how the measure moves; 12 are needed."),
        (
            change([], before=[Fraction(3)] * 20),
            "Deals in work at the end of the week never moved before the change: there is nothing to compare with.",
        ),
        (
            change([9] * 4, balancing=WORSE),
            "Deals in work at the end of the week got better, but deals that left got worse: in 100 of 100 pairs.",
        ),
        (
            change([9] * 8, before=USUAL[:7], ground=Ground((), 0), opening=True),
            "Back where it was. That the change did it is not shown.",
        ),
        (change([9] * 3), None),
    ],
)
def test_verdicts_say_why(studied: StudiedChange, sentence: str | None) -> None:
    assert verdict_sentence(verify(studied), WIP) == sentence


@pytest.mark.parametrize(
    ("effect", "names", "sentence"),
    [
        ((SizeUnit.DIFFERENCE, 11, 10, 12), WIP, "11 deals better, probably between 10 deals and 12 deals (90 %)."),
        (
            (SizeUnit.DIFFERENCE, 3, -1, 6),
            WIP,
            "3 deals better, probably between 1 deal worse and 6 deals better (90 %).",
        ),
        (
            (SizeUnit.DIFFERENCE, -2, -5, -1),
            WIP,
            "2 deals worse, probably between 5 deals worse and 1 deal worse (90 %).",
        ),
        ((SizeUnit.DIFFERENCE, 3, None, None), WIP, "3 deals better. No bound: the weeks vary too much."),
        (
            (SizeUnit.DIFFERENCE, 2.5 * 86_400, 86_400, 5 * 86_400),
            TIME,
            "2.5 days better, probably between 1 day and 5 days (90 %).",
        ),
        (
            (SizeUnit.DIFFERENCE, 0.05, 0.01, 0.12),
            RATE,
            "5 percentage points better, probably between 1 percentage point and 12 percentage points (90 %).",
        ),
        ((SizeUnit.SHARE, 0.4, 0.25, 0.5), TIME, "40 % better, probably between 25 % and 50 % (90 %)."),
    ],
)
def test_effects_say_how_much(effect: Any, names: StudyNames, sentence: str) -> None:
    assert effect_sentence(Effect(*effect), names) == sentence


def test_looks_and_gains_in_words() -> None:
    look = ChangeLook(8, 7, 20, 240, 127, 130.0)

    assert look_sentence(look) == "After 8 weeks: in 85 of 100 pairs the later week was better; 93 are needed."
    assert look_sentence(look._replace(needed=141.0)).endswith("; no weeks could show it.")
    assert look_sentence(ChangeLook(4, 2, 20)) == "After 4 weeks: skipped, as only 2 of them have a value."
    assert hold_sentence(Hold.DECAYED, 13) == (
        "The gain is lost: weeks 14 to 26 are worse than the weeks after the change, and no better than before it."
    )
    assert hold_sentence(Hold.HELD, 13) == "The gain holds."


def test_a_balancing_measure_is_told_beside_the_verdict() -> None:
    later = WORSE._replace(after=[*USUAL[:4], *[Fraction(40)] * 9])
    unknown = WORSE._replace(before=[None] * 30)

    assert balancing_note(verify(change([9] * 13, balancing=later)), WIP) == (
        "Deals that left got worse: in 83 of 100 pairs, after 13 weeks."
    )
    assert (balancing_note(verify(change([9] * 4, balancing=unknown)), WIP) or "").startswith(
        "Whether deals that left got worse cannot be told"
    )
    assert balancing_note(verify(change([9] * 4, balancing=WORSE)), WIP) is None
    assert balancing_note(verify(change([9] * 4)), WIP) is None


def test_warnings_name_what_is_meant() -> None:
    assert confounded_note([]) is None
    assert (confounded_note([7]) or "").startswith("The change of ticket 7 falls")
    assert (confounded_note([7, 9, 12]) or "").startswith("The change of tickets 7, 9 and 12 falls")
    assert moved_note(True, "Demo", "New business") is None
    assert (moved_note(False, "Demo", "New business") or "").startswith("Moved, not improved: Demo got better")


MEASURE = Chart("new", "demo", Column.WIP_END)


def chart(values: Sequence[Fraction | None]) -> RevisedChart:
    """Weeks from 1 on."""
    return RevisedChart.of(MEASURE.column, dict(enumerate(values, 1)), {})


def before_of(
    outline: PlanOutline, values: Sequence[Fraction | None], opened: str | None = None, trigger: Sequence[str] = ()
) -> list[str]:
    around = ChangeWeeks(WEEKS, change_instant(outline.change_date, 0, "Europe/Berlin"))
    trouble = TroubleWeeks(tuple(trigger), opened)
    found = outlook(chart(values), around, trouble, None, outline, higher_is_better=False)
    ground = PlanGround(found, None, trouble, 0, around.looks(13), ())
    return plan_sentences(ground, outline, study_names(outline, policy(), StageTitles.of(policy())))


def predicting(size: int | None, unit: SizeUnit = SizeUnit.DIFFERENCE) -> PlanOutline:
    return PlanOutline(MEASURE, BEGIN, predicted=Predicted(None if size is None else Fraction(size), unit, "why"))


def test_a_plan_says_what_can_be_shown_before_it_is_sealed() -> None:
    assert before_of(predicting(3), list(USUAL)) == [
        "The weeks after the change are compared with 20 weeks before it, from 17 March 2025 to 28 July 2025.",
        "The smallest change that 8 weeks can show surely enough is 3 deals.",
        "The smallest change that 13 weeks can show surely enough is 2 deals.",
        "If the change does nothing, the study calls it a success in at most 25 of 1,000 cases.",
        "If it works just as predicted, the study misses that in about 1 of 100 cases.",
        "One week of it says nothing of the next: every week counts in full.",
        "The system looks on 1 September 2025, 29 September 2025 and 3 November 2025.",
    ]


def test_a_plan_says_that_a_smaller_change_cannot_be_shown() -> None:
    found = before_of(predicting(1), list(USUAL))

    assert "Deals in work at the end of the week cannot show that in 13 weeks." in found


def test_a_plan_says_from_when_on_a_change_can_be_tested() -> None:
    few = [None] * 20 + list(USUAL[:6])
    assert before_of(replace(predicting(3), change_date=date(2025, 7, 8)), few)[0] == (
        "Only 6 weeks to compare with; 8 are needed. The earliest change date that can be tested is 18 August 2025."
    )
    in_time = before_of(replace(predicting(3), change_date=date(2025, 8, 18)), few)[0]
    assert in_time == "Only 6 weeks to compare with; 8 are needed. By the change date there will be enough."


def test_weeks_of_the_trouble_that_are_still_to_come_are_not_compared_with() -> None:
    twelve, soon = [None] * 14 + list(USUAL[:12]), replace(predicting(3), change_date=date(2025, 7, 8))
    found = before_of(soon, twelve, trigger=[WEEKS.name(number) for number in range(22, 28)])

    # The last week of the trouble is the present one: the week after it is the eighth.
    assert found[0] == (
        "Only 7 weeks to compare with; 8 are needed. The earliest change date that can be tested is 21 July 2025."
    )


def test_a_special_cause_with_a_short_past_can_never_be_tested() -> None:
    found = before_of(predicting(3), list(USUAL[:20]), WEEKS.name(9))

    assert found[0].endswith("No later change date helps: the weeks before the trouble began are too few.")


def test_a_measure_that_never_moved_and_one_without_a_share() -> None:
    assert before_of(predicting(3), [Fraction(5)] * 30)[0].startswith(
        "Deals in work at the end of the week never moved"
    )
    zero = [Fraction(week % 3) for week in range(30)]
    half = PlanOutline(MEASURE, BEGIN, predicted=Predicted(Fraction(1, 2), SizeUnit.SHARE, "why"))
    assert any("no share of it can be told" in one for one in before_of(half, zero))


def test_a_trend_and_a_memory_are_told_without_a_statistics_name() -> None:
    falling = [Fraction(60 - week) + week % 2 for week in range(30)]
    found = before_of(predicting(3), falling)

    assert "It was already getting better: it must beat its own trend." in found
    slow = [Fraction(20 + (week // 6) % 2 * 9 + week % 2) for week in range(30)]
    assert any(one.startswith("It remembers from week to week") for one in before_of(predicting(3), slow))


def test_an_outlook_without_weeks_is_untestable() -> None:
    around = ChangeWeeks(WEEKS, change_instant(BEGIN, 0, "Europe/Berlin"))
    empty = RevisedChart.of(MEASURE.column, {}, {})
    found = outlook(empty, around, TroubleWeeks((), None), None, predicting(3), higher_is_better=False)

    assert isinstance(found, MeasureOutlook)
    assert found.weeks == SealedWeeks((), ())


@pytest.mark.parametrize(
    ("result", "predicted", "names", "words"),
    [
        (
            PredictionResult.HIT,
            Prediction(3 * CALENDAR_DAY, SizeUnit.DIFFERENCE),
            TIME,
            "The prediction of 3 days held.",
        ),
        (PredictionResult.HIT, Prediction(Fraction(1, 5), SizeUnit.SHARE), TIME, "The prediction of 20 % held."),
        (PredictionResult.HIT, Prediction(5, SizeUnit.DIFFERENCE), WIP, "The prediction of 5 deals held."),
        (PredictionResult.HIT, None, WIP, "The prediction held."),
        (
            PredictionResult.WRONG_SIZE_LESS,
            Prediction(5, SizeUnit.DIFFERENCE),
            WIP,
            "It got better, by less than predicted.",
        ),
    ],
)
def test_a_prediction_that_held_says_its_size(
    result: PredictionResult, predicted: Prediction | None, names: StudyNames, words: str
) -> None:
    assert result_sentence(result, predicted, names) == words
