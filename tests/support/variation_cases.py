"""The small series of `variation-cases.json`: questions with their reason and the expected answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared.flow.statistics.questions.reading import exact, parse

_FILE = Path(__file__).parents[1] / "data" / "variation-cases.json"


class SeriesCase(NamedTuple):
    """`question`: its numbers exactly as they are written."""

    name: str
    why: str
    question: Mapping[str, Any]
    expected: Mapping[str, Any]


def cases(ask: str) -> list[SeriesCase]:
    """The cases of one question."""
    text = _FILE.read_text()
    written: Any = parse(text)
    pairs = zip(json.loads(text)["cases"], written["cases"], strict=True)
    return [
        SeriesCase(case["name"], case["why"], exact(series["series"]), case["expected"])
        for case, series in pairs
        if case["series"].get("ask", "verification") == ask
    ]


def same(found: Any, expected: Any) -> bool:
    """Equal; numbers to 1e-9 of their size, at least 1e-9. Keys that are not expected are free."""
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and all(key in found and same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return isinstance(found, int | float) and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == expected) and isinstance(found, bool) == isinstance(expected, bool)
