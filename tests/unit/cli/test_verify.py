"""`andon verify` answers one question or a list of them, and refuses what it cannot read with the way out."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.examples import is_unit
from tests.unit.flow.statistics.test_verification_cases import same

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "data" / "variation-cases.json"
QUESTION: dict[str, Any] = {"better": "lower", "before": [5, 7, 6, 4, 8, 9, 7, 3, 6, 8, 5, 7, 6], "after": [1, 2, 1, 2]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(text: str | bytes) -> Result:
    Path("q").write_bytes(text if isinstance(text, bytes) else text.encode())
    return CliRunner().invoke(app, ["verify", "q"])


def error(text: str | bytes) -> str:
    """The message for a question that is refused, which prints nothing else."""
    result = run(text)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr.strip().removeprefix("q: ")


def test_every_small_series_in_one_list() -> None:
    """In `make unit` every tenth."""
    step = 10 if is_unit() else 1
    # The numbers of the series as they are in the file: doubles would change them.
    cases = json.loads(CASES.read_text(), parse_float=str)["cases"][::step]
    expected = [case["expected"] for case in json.loads(CASES.read_text())["cases"]][::step]

    result = run(json.dumps([case["series"] for case in cases]))

    answers = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    wrong = [case["name"] for case, a, e in zip(cases, answers, expected, strict=True) if not same(a, e)]
    assert not wrong


def test_one_question_has_one_answer() -> None:
    result = run(b"\xef\xbb\xbf" + json.dumps(QUESTION).encode())

    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"] == "verified"


@pytest.mark.slow
def test_standard_input_is_read() -> None:
    command = [sys.executable, "-m", "services.cli.main", "verify", "-"]

    result = subprocess.run(
        command, input=json.dumps([QUESTION]).encode(), stdout=subprocess.PIPE, check=True, cwd=ROOT
    )

    assert [answer["week"] for answer in json.loads(result.stdout)] == [4]


def test_a_compressed_file_is_read() -> None:
    assert [answer["week"] for answer in json.loads(run(gzip.compress(json.dumps([QUESTION]).encode())).stdout)] == [4]


def test_numbers_are_exact_whether_written_as_numbers_or_as_strings() -> None:
    # As doubles .1 + .2 and .3 differ; as shares 1/3 and 2/6 are equal.
    shares = {**QUESTION, "before": ["1/3", "2/6", 0.3] * 5, "after": []}
    decimals = {**QUESTION, "before": [".1", 0.10, "1e-1"] * 5, "after": []}

    first, second = json.loads(run(json.dumps([shares, decimals])).stdout)

    assert first["smallest"] == pytest.approx(1 / 30, abs=1e-12)
    assert second["reason"] == "no-variation"


def test_a_list_answers_each_and_names_those_it_refuses() -> None:
    result = run(json.dumps([QUESTION, {"ask": "weather"}, {**QUESTION, "window": 0}, 7]))

    answers = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answers[0]["verdict"] == "verified"
    assert [list(answer) for answer in answers[1:]] == [["error"]] * 3
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["question 1", "question 2", "question 3"]


def test_an_empty_list_has_an_empty_answer() -> None:
    assert run("[]").stdout == "[]\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ask": "weather"}, 'ask: "weather"; write one of bottleneck, count, forecast, silence, verification, window'),
        ({"ask": ["verification"]}, "ask"),
        ({"better": "up"}, 'better: "up"; write lower or higher'),
        ({"better": None}, "better: is missing; write lower or higher"),
        ({"before": None}, "before: is missing; write a list"),
        ({"before": 3}, "before: 3; write a list"),
        ({"before": [1, "x"]}, 'before[1]: "x"; write a number, or null for a week without a value'),
        ({"before": [1, "1/0"]}, "before[1]"),
        ({"before": [1, "1e51"]}, "before[1]"),
        ({"before": [1, "9" * 60]}, "before[1]"),
        ({"before": [1, "1" * 101]}, "before[1]"),
        ({"before": [[1]]}, "before[0]: [1]; write a number"),
        ({"after": [1, True]}, "after[1]: true; write a number"),
        ({"after": [1, "1_000"]}, "after[1]"),
        ({"after": [1, ""]}, "after[1]"),
        ({"window": 0}, "window: 0; write a whole number from 3 to 104"),
        ({"window": 13.5}, "window: 27/2; write a whole number"),
        ({"window": 10**12}, "window"),
        ({"trigger": [13]}, "trigger[0]: 13; write a whole number from 0 to 12"),
        ({"trigger": [-1]}, "trigger[0]: -1"),
        ({"trigger": [1.5]}, "trigger[0]: 3/2"),
        ({"class": "strange"}, 'class: "strange"; write special or common or unknown'),
        ({"class": "special"}, "opened: is missing; write a whole number from 0 to 12"),
        ({"class": "special", "opened": 13}, "opened: 13"),
        ({"silence": [0]}, "silence[0]: 0"),
        ({"relock": 14}, "relock: 14; write a whole number from 0 to 13"),
        ({"prediction": 3}, "prediction: 3; write an object with size, as"),
        ({"prediction": {"size": 0, "as": "share"}}, "prediction.size: 0; write a number greater than 0"),
        ({"prediction": {"size": 1}}, "prediction.as: is missing; write difference or share"),
        ({"prediction": {"size": 1, "as": "percent"}}, "prediction.as"),
        ({"balancing": {"better": "lower", "before": [1]}}, "balancing.after: is missing"),
        ({"balancing": {"better": "lower", "before": ["x"], "after": []}}, "balancing.before[0]"),
        ({"opening": {"silent": "yes"}}, 'opening.silent: "yes"; write true or false'),
        (
            {"opening": {"baseline": [1], "level": 0.1, "bad": "higher"}},
            "opening.baseline: [1]; write 12 to 20 numbers",
        ),
        ({"opening": {"baseline": [*range(20)], "level": 0, "bad": "higher"}}, "opening.level"),
        ({"opening": {"baseline": [*range(20)], "level": 1, "bad": "higher"}}, "opening.level"),
        ({"opening": {"baseline": [*range(20)], "level": 0.1, "bad": "high"}}, "opening.bad"),
        ({"befor": [1]}, "befor: no such field; known are ask, better, before"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_value_and_the_way_out(change: dict[str, Any], says: str) -> None:
    assert error(json.dumps(QUESTION | change)).startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"better": "lower", "before": [NaN], "after": []}', "before[0]"),
        ('{"better": "lower", "before": [], "after": [-Infinity]}', "after[0]"),
        ('{"better": "lower", "before": [1e999999999], "after": []}', "before[0]"),
        ('{"better": "lower", "better": "higher"}', "better: appears twice"),
        ("7", "question: "),
        ('"lower"', "question: "),
        ("", "line 1, column 1: not JSON"),
        ('{"better": "lower"', "line 1, column 19: not JSON"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfe{\x00}\x00", "byte 0 is not UTF-8"),
        ('{"\\ud800": 1}', "\\ud800: no such field"),
    ],
)
def test_a_file_that_is_no_question_is_refused(text: str | bytes, says: str) -> None:
    assert error(text).startswith(says)


def test_a_missing_file_is_named() -> None:
    result = CliRunner().invoke(app, ["verify", "nowhere.json"])

    assert result.exit_code == 1
    assert result.stderr.startswith("nowhere.json: No such file or directory; name a file with one question")
