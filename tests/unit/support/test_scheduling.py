"""Which tests share a worker: files as a whole, and what is named as a group exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scheduling import GROUPS, LONG, scope_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("beginning", [*GROUPS, *LONG])
def test_what_is_named_exists(beginning: str) -> None:
    assert (ROOT / beginning).exists()


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/browser/test_live.py::test_the_board_follows", "tests/browser"),
        ("tests/browser/test_cord.py::test_x[a::b]", "tests/browser"),
        ("tests/unit/flow/test_weeks.py::test_x[1::2]", "tests/unit/flow/test_weeks.py"),
        ("tests/system/test_line.py::test_x", "tests/system/demo"),
    ],
)
def test_a_test_goes_with_its_group_or_its_file(test: str, scope: str) -> None:
    assert scope_of(test) == scope
