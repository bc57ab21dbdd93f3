"""What `policy check --against` and `what-if` say of the price of rules, and of two policies side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.unit.cli.test_policy_suggest import event, process

OWNER = {"name": "O", "mail": "o@x.example"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("events").write_text("\n".join(map(json.dumps, process(["lead", "offer"], 400))))
    Path("short").write_text(json.dumps(event(0, "1", 0, "created", pipeline="p", stage="lead")))
    return tmp_path


def policy(name: str, *rules: dict[str, Any], stages: tuple[str, ...] = ("lead", "offer")) -> str:
    content = {"name": "P", "owner": OWNER, "stages": [{"id": stage} for stage in stages], "rules": list(rules)}
    Path(name).write_text(json.dumps({"version": 1, "pipelines": {"p": content}}))
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_check_says_what_each_rule_costs() -> None:
    name = policy("a", {"kind": "aging", "stage": "lead", "limit": "10d", "count": 6}, {"kind": "slipping"})

    result = run("policy", "check", name, "--against", "events")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "p: 2 stages, 2 rules, owner o@x.example" in lines
    assert any(line.startswith("P: chance alone opens at most ") for line in lines)
    assert any(line.endswith("P, lead: 6 deals or more for longer than 10 days (aging)") for line in lines)


def test_check_as_json() -> None:
    name = policy("a", {"kind": "wip-high", "stage": "lead", "max": 1}, {"kind": "slipping", "mode": "monitor"})

    against = json.loads(run("policy", "check", name, "--against", "events", "--format", "json").stdout)["against"]

    assert against["chance"]["wip-high/p/lead"]["is_usual"] is True
    assert against["chance"]["slipping/p//pushed_share"] == {"per_quarter": 1.0, "mode": "monitor", "is_usual": False}
    total = against["pipelines"]["p"]
    assert total == {
        "false_alarms": 1.0,
        "by_chance": against["chance"]["wip-high/p/lead"]["per_quarter"],
        "unknown": 0,
    }


def test_a_rule_that_asks_for_too_much_is_named() -> None:
    name = policy("a", {"kind": "wip-high", "stage": "lead", "max": 1})

    for command in (["policy", "check", name, "--against", "events"], ["what-if", "events", "-p", name]):
        assert "the policy asks for more than the process can do." in run(*command).stdout


def test_a_log_that_is_too_short_has_no_price() -> None:
    name = policy("a", {"kind": "wip-high", "stage": "lead", "max": 1})

    for command in (["policy", "check", name, "--against", "short"], ["what-if", "short", "-p", name]):
        text = run(*command).stdout
        assert (
            "P: there is too little history (less than 180 days) to say how often chance alone opens a ticket."
            " No price is known of P, lead: more than 1 deal (wip-high)."
        ) in text
        assert "not known" in text
        assert "at most" not in text
    compared = run("what-if", "short", "-p", name, "-p", name)
    assert "A, P: there is too little history" in compared.stdout
    record = json.loads(run("policy", "check", name, "--against", "short", "--format", "json").stdout)["against"]
    assert record["pipelines"]["p"] == {"false_alarms": 1.0, "by_chance": None, "unknown": 1}


def test_rules_that_a_short_log_cannot_price_are_named_beside_the_sum() -> None:
    limits = [{"kind": "wip-high", "stage": "lead", "max": 1}, {"kind": "aging", "stage": "offer", "limit": "3d"}]
    name = policy("a", *limits, {"kind": "slipping"})

    text = run("what-if", "short", "-p", name).stdout

    assert (
        "P: there is too little history (less than 180 days) to price P, lead: more than 1 deal (wip-high);"
        " P, offer: any deal for longer than 3 days (aging). Of the other rules, chance alone opens at most 1 ticket"
        " a quarter; the policy accepts 1 (false_alarms)."
    ) in text


def test_events_that_no_rule_judges_are_named_on_standard_error() -> None:
    result = run("policy", "check", policy("a", stages=("lead",)), "--against", "events")

    assert result.exit_code == 0
    assert "stage offer: 800 events of 400 deals" in result.stderr


def test_a_file_of_events_that_cannot_be_read() -> None:
    result = run("policy", "check", policy("a"), "--against", "nowhere")

    assert result.exit_code == 1
    assert "nowhere: No such file or directory" in result.stderr


def test_two_policies_side_by_side() -> None:
    strict = policy(
        "strict", {"kind": "wip-high", "stage": "lead", "max": 5}, {"kind": "wip-high", "stage": "offer", "max": 6}
    )
    loose = policy(
        "loose", {"kind": "wip-high", "stage": "lead", "max": 8}, {"kind": "wip-low", "stage": "offer", "min": 1}
    )

    result = run("what-if", "events", "-p", strict, "-p", loose, "--format", "json")

    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert [side["file"] for side in record["policies"]] == ["strict", "loose"]
    rules = record["rules"]
    assert list(rules) == ["wip-high/p/lead", "wip-high/p/offer", "wip-low/p/offer"]
    alone = [
        json.loads(run("what-if", "events", "-p", name, "--format", "json").stdout)["problems"]
        for name in ("strict", "loose")
    ]
    for key, found in rules.items():
        for side, problems in enumerate(alone):
            mine = [one for pair in found["both"] for one in pair[side]] + found["only"][side]
            assert sorted(mine, key=lambda one: one["opened_at"]) == problems.get(key, [])
    assert rules["wip-high/p/lead"]["both"]
    assert rules["wip-high/p/offer"]["chance"][1] is None


def test_two_policies_in_sentences() -> None:
    one = policy("one", {"kind": "wip-high", "stage": "lead", "max": 8})
    other = policy("other", {"kind": "wip-high", "stage": "lead", "max": 9}, {"kind": "slipping"})

    text = run("what-if", "events", "-p", one, "-p", other).stdout

    assert "A: one\nB: other\n" in text
    assert "A: P, lead: more than 8 deals (wip-high); by chance at most" in text
    assert "A: no such rule" in text
    assert "in both, A: " in text or "only in A: " in text
    assert "Together:\n  A, P: chance alone opens at most" in text


def test_the_same_policy_twice_says_everything_once() -> None:
    name = policy("one", {"kind": "wip-high", "stage": "lead", "max": 8})

    text = run("what-if", "events", "-p", name, "-p", name).stdout

    assert "0 only in A, 0 only in B." in text
    assert "A: P, lead" not in text
    assert "in both: " in text


def test_exit_code_3_where_one_of_two_leaves_events_unjudged() -> None:
    result = run("what-if", "events", "-p", policy("a"), "-p", policy("b", stages=("lead",)))

    assert result.exit_code == 3
    assert "B: Not judged: 800 of 1200 events" in result.stderr
    assert "A: Not judged" not in result.stderr


def test_three_policies_are_refused() -> None:
    name = policy("a")

    result = run("what-if", "events", "-p", name, "-p", name, "-p", name)

    assert result.exit_code == 1
    assert "--policy: 3 policies are given; compare two at a time" in result.stderr
