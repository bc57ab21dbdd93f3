"""`andon relock` refuses what cannot be, naming argument, value and way out, before it asks any server."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app

GOOD = {"chart": "p/lead/wip_end", "--from": "2026-W09", "--reason": "a new price list"}
POLICY = {
    "version": 1,
    "pipelines": {"p": {"name": "P", "owner": {"name": "O", "mail": "o@x.example"}, "stages": [{"id": "lead"}]}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(json.dumps(POLICY))
    # Nothing answers there.
    monkeypatch.setenv("ANDON_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("ANDON_POSTGRES", "postgresql://andon@127.0.0.1:9/andon")


def run(**changed: str) -> Result:
    arguments = GOOD | {f"--{name}" if name != "chart" else name: value for name, value in changed.items()}
    options = [part for name, value in arguments.items() if name != "chart" for part in (name, value)]
    return CliRunner().invoke(app, ["relock", arguments["chart"], *options])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"chart": "p/lead/wip"}, "CHART: 'p/lead/wip' is not a chart of this policy; write pipeline/stage/column"),
        ({"chart": "p/lost/wip_end"}, "CHART: 'p/lost/wip_end' is not a chart of this policy"),
        ({"from": "2026-W54"}, "--from: '2026-W54' is not an ISO week; write it like 2026-W09"),
        ({"from": "2025-W53"}, "--from: '2025-W53' is not an ISO week"),
        ({"from": "0000-W01"}, "--from: '0000-W01' is not an ISO week"),
        ({"from": "2026-03-02"}, "--from: '2026-03-02' is not an ISO week"),
        ({"from": ""}, "--from: an empty value is not an ISO week"),
        ({"points": "11"}, "--points: 11 cannot be used; write 12 to 20"),
        ({"points": "21"}, "--points: 21 cannot be used; write 12 to 20"),
        ({"reason": " "}, "--reason: ' ' is no reason; write why the baseline begins anew"),
        ({"reason": ""}, "--reason: an empty value is no reason"),
        ({"reason": "x" * 1001}, "cannot be stored; write at most 1000 characters"),
        ({"reason": "nul \x00 character"}, "cannot be stored"),
    ],
)
def test_what_cannot_be_is_named(changed: dict[str, str], says: str) -> None:
    result = run(**changed)

    assert result.exit_code == 1
    assert says in result.stderr
    assert "Kafka" not in result.stderr


def test_every_fault_is_named_at_once() -> None:
    result = run(chart="p", **{"from": "W09", "points": "1", "reason": ""})

    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["CHART", "--from", "--points", "--reason"]


def test_servers_that_do_not_answer_are_named_with_what_to_set() -> None:
    begun = time.monotonic()

    result = run()

    assert result.exit_code == 1
    assert "ANDON_KAFKA" in result.stderr
    assert "ANDON_POSTGRES" in result.stderr
    assert time.monotonic() - begun < 60


def test_a_policy_that_is_missing_is_named() -> None:
    Path("policy.yaml").unlink()

    result = run()

    assert result.exit_code == 1
    assert "policy.yaml" in result.stderr
