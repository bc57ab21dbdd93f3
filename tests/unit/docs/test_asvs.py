"""The list of OWASP ASVS is whole and true: every number once, every test and file that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = ROOT / "docs" / "operator"
NUMBERS = dict(
    line.split()
    for line in (Path(__file__).parent / "asvs-5.0.0.txt").read_text().splitlines()
    if not line.startswith("#")
)
STATES = {"yes", "partly", "no", "operator", "n/a"}
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in (OPERATOR / "asvs.md").read_text().splitlines()
    if re.match(r"\| V\d", line)
]
# `folder/test_file.py::test_name` and `folder/test_file.py` of tests, `services/...`, `deploy/...` of the code.
TEST = re.compile(r"`((?:unit|integration|system|browser|containers|fuzz)/[\w/]+\.py)(?:::(\w+))?`")
PLACE = re.compile(r"`((?:services|shared|deploy|requirements)/[\w./-]+|pyproject\.toml|docker-compose[\w.]*\.yml)`")


def test_every_number_of_level_1_and_2_is_there_once_with_its_level() -> None:
    assert len(NUMBERS) == 253
    assert [row[0] for row in ROWS] == list(NUMBERS)
    assert {row[0]: row[1] for row in ROWS} == NUMBERS


def test_every_line_says_how_it_stands_and_by_what() -> None:
    for number, _, about, state, by in ROWS:
        assert state in STATES, number
        assert about, number
        assert by, number
        # What is met is shown: by a test, a place in the code, or a page that documents it.
        if state == "yes":
            assert TEST.search(by) or PLACE.search(by) or re.search(r"\]\([^)]+\)", by), number


@cache
def functions_of(path: Path) -> frozenset[str]:
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions))


@pytest.mark.parametrize("page", ["asvs.md", "security.md"])
def test_every_test_and_place_that_is_named_exists(page: str) -> None:
    text = (OPERATOR / page).read_text()
    named = TEST.findall(text)
    assert len(named) > 50
    missing = [
        (file, name)
        for file, name in named
        if not (ROOT / "tests" / file).is_file() or (name and name not in functions_of(ROOT / "tests" / file))
    ]
    assert missing == []
    assert [place for place in PLACE.findall(text) if not (ROOT / place).exists()] == []
    # None slips through because it is written in another way.
    assert len(re.findall(r"::\w+", text)) == len([name for _, name in named if name])
    assert re.findall(r"`[^`]*/test_[^`]*`", text) == [found[0] for found in re.finditer(TEST, text)]
