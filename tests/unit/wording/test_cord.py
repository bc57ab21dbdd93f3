"""The words of a pull, and what it asks for: by the stage's own numbers."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, CordDetail, ProblemData, StageNumber
from shared.policy import StageTitles
from shared.wording.problem_text import ProblemText, text_of
from tests.support.problems import policy, problem

DAY = 86_400.0


def number(measure: Column, value: float, low: float | None, high: float) -> StageNumber:
    return StageNumber(measure=measure, week="2026-W47", value=value, low=low, high=high)


STAY = number(Column.TIME_IN_STAGE_MEDIAN, 12 * DAY, 5 * DAY, 21 * DAY)
WIP = number(Column.WIP_END, 31, None, 40)


def pulled(count: int = 1, cause: CauseClass = CauseClass.UNKNOWN, **cord: Any) -> ProblemData:
    detail = CordDetail(**({"seen": "Approvals of discounts take a week."} | cord))
    return problem(
        key="cord/new/proposal",
        kind="cord",
        count=count,
        peak=count,
        threshold=1,
        limit=None,
        limit_seconds=None,
        usual=None,
        cause_class=cause,
        cause_points=6,
        cause_needed=24,
        cord=detail,
    )


def words(*args: Any, **fields: Any) -> ProblemText:
    return text_of(pulled(*args, **fields), policy(), StageTitles.of(policy()))


@pytest.mark.parametrize(
    ("count", "cord", "sentence"),
    [
        (1, {}, "Seen in Proposal: “Approvals of discounts take a week”."),
        (3, {}, "Pulled 3 times in Proposal. The last time: “Approvals of discounts take a week”."),
        (3, {"day": "2026-11-03"}, "Pulled 3 times in Proposal. The last time, on 3 November: “Approvals of"),
        (2, {"deal": "Miller"}, "Pulled 2 times in Proposal. The last time, with the deal Miller: “Approvals of"),
        (1, {"day": "2026-11-03"}, "Seen in Proposal on 3 November: “Approvals of discounts"),
        (1, {"deal": "Miller"}, "Seen in Proposal with the deal Miller: “Approvals of"),
        (1, {"seen": "a\nb\n\nc"}, "Seen in Proposal: “a b c”."),
        (1, {"seen": "x" * 1000}, f"Seen in Proposal: “{'x' * 239}…”."),
    ],
)
def test_the_sentence_says_what_was_seen(count: int, cord: dict[str, Any], sentence: str) -> None:
    assert words(count, **cord).sentence.startswith(sentence)


def test_the_title_is_that_of_the_stage_and_stays() -> None:
    assert words(1).title == words(9).title == "Somebody pulled the cord in Proposal"


def test_within_its_limits_the_ticket_says_so_with_this_stages_numbers() -> None:
    asks_for = words(cause=CauseClass.COMMON, numbers=(STAY, WIP)).asks_for

    assert asks_for == (
        "Ask what gets in the way each time, and change the way of working: no single day will explain this. The"
        " stage's own numbers are as usual: in the week of 16 November, time in stage (median): 12 days (usually 5 to"
        " 21 days); deals in work at the end of the week: 31 deals (usually up to 40 deals). A reaction to a single"
        " week makes a stable stage swing more."
    )


def test_a_number_outside_its_limits_stands_out() -> None:
    outside = WIP.model_copy(update={"value": 55.0})

    assert words(cause=CauseClass.COMMON, numbers=(STAY, outside)).asks_for == (
        "Something stands out: in the week of 16 November, deals in work at the end of the week: 55 deals (usually up"
        " to 40 deals). Look at that week first."
    )


@pytest.mark.parametrize(
    ("low", "high", "usual"),
    [
        (DAY, 21 * DAY, "usually 1 to 21 days"),
        (7200, 21 * DAY, "usually 2 hours to 21 days"),
        (7200, 39_600, "usually 2 to 11 hours"),
        (60, 39_600, "usually less than an hour to 11 hours"),
        (60, 600, "usually less than an hour"),
    ],
)
def test_a_usual_range_names_its_unit_once(low: float, high: float, usual: str) -> None:
    stay = STAY.model_copy(update={"low": low, "high": high})

    assert f"12 days ({usual})" in words(cause=CauseClass.COMMON, numbers=(stay,)).asks_for


def test_a_stable_stage_without_limits_is_said_to_be_stable() -> None:
    assert "The stage's own numbers are as usual. A reaction" in words(cause=CauseClass.COMMON).asks_for


def test_too_few_weeks_are_said_to_be_too_few() -> None:
    assert words().asks_for == (
        "Ask those who work in this stage what gets in the way, before you change anything. There are too few weeks to"
        " tell whether its numbers are unusual: 6 of 24."
    )


def test_a_special_cause_asks_what_happened() -> None:
    assert words(cause=CauseClass.SPECIAL, numbers=(STAY,)).asks_for.startswith("Something happened around the week of")
