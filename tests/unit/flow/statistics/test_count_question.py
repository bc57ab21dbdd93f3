"""The question `count` of `andon verify`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shared.flow.statistics.questions.count import answer
from shared.flow.statistics.questions.fields import QuestionError
from shared.flow.statistics.questions.reading import exact, parse

_FILE = Path(__file__).parents[3] / "data" / "variation-cases.json"
CASES = [case for case in json.loads(_FILE.read_text())["cases"] if case["series"].get("ask") == "count"]
QUESTION: dict[str, Any] = {"ask": "count", "mean": 4, "variance": 6, "reached": 100, "window_days": 200}
SPANS: dict[str, Any] = {"ask": "count", "spans": [[0, 3], [1, None]], "window_days": 10}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    found, expected = answer(exact(parse(json.dumps(case["series"])))), case["expected"]

    assert found == {
        key: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float | dict) else value
        for key, value in expected.items()
    }, case["why"]


def test_spans_may_be_of_any_fraction_of_a_day() -> None:
    found = answer({**SPANS, "spans": [[Fraction(1, 3), Fraction(4, 3)], [Fraction(1, 7), None]]})

    assert found["usual"] == pytest.approx(1 / 10 + (10 - 1 / 7) / 10)
    assert found["reached"] == 2
    assert found["busy_rate"] == pytest.approx(1 / (10 - 1 / 7))


def test_a_span_of_no_length_counts_for_nothing() -> None:
    assert answer({**SPANS, "spans": [[0, 3], [1, None], [2, 2]]}) == answer(SPANS)


def test_no_span_at_all_is_a_count_that_was_always_0() -> None:
    found = answer({**SPANS, "spans": []})

    assert (found["usual"], found["count"], found["clears_at_count"]) == (0, 2, 0)


def test_0_is_not_reached_from_below() -> None:
    assert answer({**QUESTION, "at": [0, 1]})["per_quarter_at"]["0"] is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mean": None}, "mean: is missing"),
        ({"mean": -1}, "mean: -1; write a number from 0 to"),
        ({"mean": 10**9}, "mean: 1000000000; write"),
        ({"variance": -1}, "variance: -1"),
        ({"reached": Fraction(1, 2)}, "reached: 1/2; write a whole number"),
        ({"window_days": 0}, "window_days: 0"),
        ({"budget": 0}, "budget: 0"),
        ({"at": [-1]}, r"at\[0\]: -1"),
        ({"spans": [[0, 1]]}, "mean: 4; remove it, or the spans"),
        ({"weeks": 3}, "weeks: .*no such field|weeks"),
    ],
)
def test_what_cannot_be_used_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(QuestionError, match=words):
        answer({**QUESTION, **changed})


@pytest.mark.parametrize("spans", [[[2, 1]], [[0]], [[None, 1]], [["a", 1]], [3], 3])
def test_spans_that_are_none_are_refused(spans: object) -> None:
    with pytest.raises(QuestionError, match="spans"):
        answer({**SPANS, "spans": spans})
