"""The question `window` of `andon verify`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from shared.flow.statistics.questions.fields import QuestionError
from shared.flow.statistics.questions.window import answer
from tests.support.variation_cases import SeriesCase, cases, same

QUESTION: dict[str, Any] = {
    "ask": "window",
    "bad": "higher",
    "points": [*[10, 12, 9, 11, 13] * 4, 30, 31, 32, 33],
    "level": Fraction(1, 416),
}


CASES = cases("window")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_window_case(case: SeriesCase) -> None:
    found = answer(case.question)

    differing = [key for key in case.expected if not same(found[key], case.expected[key])]
    assert not differing, (case.why, {key: (found[key], case.expected[key]) for key in differing})


def test_every_window_case_is_read() -> None:
    assert len(CASES) == 17


def test_an_answer() -> None:
    found = answer(QUESTION)

    assert found["looks"][-1] == [23, 160, None, True, False]
    assert found["intervals"] == [{"opened": 23, "cleared": None, "peak": 100, "trigger": [20, 21, 22, 23]}]


def test_before_the_baseline_is_complete_there_is_no_more_than_no_interval() -> None:
    found = answer({**QUESTION, "points": [None, 3]})

    assert found == {
        **dict.fromkeys(("m", "baseline", "phi", "critical", "need", "looks")),
        "intervals": [],
    }


def test_a_level_counts_by_its_decimal() -> None:
    assert answer({**QUESTION, "level": Fraction("0.05")}) == answer({**QUESTION, "level": Fraction(1, 20)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bad": "high"}, "bad"),
        ({"level": 0}, "level"),
        ({"level": None}, "level"),
        ({"points": 3}, "points"),
        ({"points": [1, "x"]}, "points"),
        ({"baseline": 11}, "baseline"),
        ({"baseline": 21}, "baseline"),
        ({"baseline": Fraction(25, 2)}, "baseline"),
        ({"relocks": {"from": 3}}, "relocks"),
        ({"relocks": [3]}, "relocks"),
        ({"relocks": [{"from": 24}]}, r"relocks\[0\].*from"),
        ({"relocks": [{"from": -1}]}, r"relocks\[0\].*from"),
        ({"relocks": [{"from": 3}, {"from": 4, "points": 11}]}, r"relocks\[1\].*points"),
        ({"relocks": [{"points": 12}]}, r"relocks\[0\].*from"),
        ({"relock": 3}, "relock"),
    ],
)
def test_what_cannot_be_answered_names_the_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(QuestionError, match=says):
        answer({**QUESTION, **change})
