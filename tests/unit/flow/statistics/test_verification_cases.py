"""The small series of verification, each with its reason, answered as `andon verify` answers them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.flow.statistics.questions import verification
from shared.flow.statistics.questions.reading import exact, parse

_FILE = Path(__file__).parents[3] / "data" / "variation-cases.json"
# Read as text, so that the numbers of the series are those of the file and no doubles.
SERIES = [case["series"] for case in parse(_FILE.read_text())["cases"]]  # type: ignore[index,call-overload]
CASES = [
    (case, series)
    for case, series in zip(json.loads(_FILE.read_text())["cases"], SERIES, strict=True)
    if "ask" not in case["series"]
]


def same(found: Any, expected: Any) -> bool:
    """Equal; floats to 1e-9 of their size, at least 1e-9."""
    if isinstance(expected, dict):
        return found is not None and all(key in found and same(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return found is not None and abs(found - expected) <= max(1e-9, 1e-9 * abs(expected))
    return bool(found == expected) and (found is None) == (expected is None)


@pytest.mark.parametrize(("case", "series"), CASES, ids=[case["name"] for case, _ in CASES])
def test_verification_case(case: dict[str, Any], series: object) -> None:
    found = verification.answer(exact(series))

    differing = [key for key, value in case["expected"].items() if not same(found[key], value)]
    assert not differing, (case["why"], {key: (found[key], case["expected"][key]) for key in differing})


def test_every_verification_case_is_read() -> None:
    assert len(CASES) == 78
