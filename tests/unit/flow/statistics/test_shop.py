"""Whole logs through `andon what-if`: all that is expected of them, exactly; numbers to 1e-9 of their size."""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.outside import data
from tests.support.printed_log import LOGS, folder
from tests.support.variation_cases import same

# Of a real log the expected results lie beside the events, in a folder of their own.
EVENTS = "events.jsonl.gz"


@cache
def printed(name: str) -> dict[str, Any]:
    """What `andon what-if --measures` prints for a log."""
    where = folder(name)
    events = where / EVENTS if (where / EVENTS).exists() else data(name.split("/")[0], EVENTS)
    expected = json.loads((where / "expected-problems.json").read_text())
    options = ["-p", str(where / "policy.yaml"), "--as-of", expected["as_of"], "--format", "json", "--measures"]
    if (where / "relocks.json").exists():
        options += ["--relocks", str(where / "relocks.json")]
    result = CliRunner().invoke(app, ["what-if", str(events), *options])
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def expected(name: str, key: str) -> Any:
    return json.loads((folder(name) / f"expected-{key.replace('_', '-')}.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
def test_problems(name: str) -> None:
    wanted = expected(name, "problems")

    assert printed(name)["as_of"] == wanted["as_of"]
    assert printed(name)["problems"].keys() == wanted["problems"].keys()
    for key, intervals in wanted["problems"].items():
        assert same(printed(name)["problems"][key], intervals), key


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
def test_measures(name: str) -> None:
    with (folder(name) / "expected-measures.csv").open(newline="") as file:
        wanted = [{column: value or None for column, value in row.items()} for row in csv.DictReader(file)]
    rows = printed(name)["measures"]

    assert [list(row) for row in rows] == [list(row) for row in wanted]
    for row, want in zip(rows, wanted, strict=True):
        names = {column: row.pop(column) or None for column in ("pipeline", "stage", "period")}
        assert names == {column: want.pop(column) for column in names}
        assert same(row, {c: None if text is None else float(text) for c, text in want.items()}), (names, row, want)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize(
    "key", ["signals", "learned", "windows", "learned_counts", "bottlenecks", "forecast", "chance"]
)
def test_statistics(name: str, key: str) -> None:
    wanted, found = expected(name, key), printed(name)[key]

    assert found.keys() == wanted.keys()
    for one, want in wanted.items():
        assert same(found[one], want), one
