"""`andon what-if` never reassures falsely: what no rule could judge is counted, named, and changes the exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app

OWNER = {"name": "O", "mail": "o@x.example"}


def policy(*stages: str, pipeline: str = "sales", rules: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A policy of one pipeline that limits its first stage to no deal."""
    default = [{"kind": "wip-high", "stage": stages[0], "max": 0}]
    content = {"name": "Sales", "owner": OWNER, "stages": [{"id": s} for s in stages]}
    return {
        "version": 1,
        "timezone": "Europe/Berlin",
        "pipelines": {pipeline: content | {"rules": default if rules is None else rules}},
    }


def event(number: int, deal: str, type_: str = "moved", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "crm",
        "type": f"andon.deal.{type_}",
        "subject": f"crm:{deal}",
        "time": f"2026-03-02T09:{number:02}:00Z",
        "data": data,
    }


SALES = [
    event(0, "1", "created", pipeline="sales", stage="lead"),
    event(1, "1", pipeline="sales", stage="offer"),
    event(2, "2", "created", pipeline="sales", stage="lead"),
    event(3, "2", "changed", name="Two"),
    event(4, "2", "won"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    return tmp_path


def run(events: list[dict[str, Any]], rules: dict[str, Any], *options: str) -> Result:
    Path("events").write_text("\n".join(map(json.dumps, events)))
    Path("policy").write_text(json.dumps(rules))
    return CliRunner().invoke(app, ["what-if", "events", "-p", "policy", *options])


def test_a_policy_that_matches_no_event_is_not_a_clean_bill(folder: Path) -> None:
    result = run(SALES, policy("lead", "offer", pipeline="selling"))

    assert result.exit_code == 3
    assert "Not judged: 5 of 5 events lie in pipelines and stages that the policy does not know:" in result.stdout
    assert "pipeline sales (not in the policy), stage lead: 4 events of 2 deals" in result.stdout
    assert "pipeline sales (not in the policy), stage offer: 1 event of 1 deal" in result.stdout
    assert "These rules had nothing to judge" in result.stdout
    assert "These rules found no problem" not in result.stdout


def test_a_misspelt_stage_is_named(folder: Path) -> None:
    result = run(SALES, policy("lead", "ofer"))

    assert result.exit_code == 3
    assert "Not judged: 1 of 5 events lie" in result.stdout
    assert "  pipeline sales, stage offer: 1 event of 1 deal" in result.stdout


def test_the_same_as_json(folder: Path) -> None:
    result = run(SALES, policy("lead"), "--format", "json")

    found = json.loads(result.stdout)
    assert (result.exit_code, "Not judged: 1 of 5" in result.stderr) == (3, True)
    assert (found["events"], found["deals"]) == (5, 2)
    assert found["unknown"] == [{"pipeline": "sales", "stage": "offer", "events": 1, "deals": 1}]
    assert found["problems"]["wip-high/sales/lead"], "what can be judged is"


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([event(0, "1", "changed", name="One"), event(1, "1", "won")], "2 events of 1 deal for which no event names"),
        ([event(0, "1", stage="elsewhere")], "stage elsewhere, of no named pipeline: 1 event of 1 deal"),
        ([event(0, "1", pipeline="sales", stage="Lead")], "pipeline sales, stage Lead: 1 event of 1 deal"),
    ],
)
def test_other_events_that_no_rule_can_judge(events: list[dict[str, Any]], words: str, folder: Path) -> None:
    result = run(events, policy("lead"))

    assert (result.exit_code, words in result.stdout) == (3, True), result.stdout


def test_everything_judged_is_success(folder: Path) -> None:
    clean = run(SALES, policy("offer", "lead", rules=[{"kind": "wip-high", "stage": "offer", "max": 9}]))

    assert (clean.exit_code, "Not judged" in clean.output) == (0, False)
    assert "These rules found no problem:\n  Sales, offer: more than 9 deals (wip-high)" in clean.stdout


def test_events_after_the_end_do_not_count(folder: Path) -> None:
    late = event(30, "3", pipeline="other", stage="x")

    assert run([*SALES, late], policy("lead", "offer"), "--as-of", "2026-03-02T09:10:00Z").exit_code == 0
    early = run(SALES, policy("lead", "offer"), "--as-of", "2026-03-01")
    assert (early.exit_code, "is before the first event, 2026-03-02T09:00:00.000000Z" in early.stderr) == (1, True)


def test_problems_are_sentences_that_are_never_cut(folder: Path) -> None:
    result = run(SALES, policy("lead", "offer"))

    lines = result.stdout.splitlines()
    assert lines[0].endswith("evaluated up to 2 Mar 2026 10:04. Times are in Europe/Berlin.")
    assert "Sales, lead: more than 0 deals (wip-high): 2 problems" in lines
    assert "  2 Mar 2026 10:00 to 2 Mar 2026 10:01 (1 minute): At most 1 deal was in lead; the limit is 0." in lines, (
        lines
    )


def test_a_policy_without_rules_says_that_it_finds_nothing(folder: Path) -> None:
    off = [{"kind": "wip-high", "stage": "lead", "max": 0, "mode": "off"}]
    for rules in ([], off):
        result = run(SALES, policy("lead", "offer", rules=rules))
        assert "The policy has no rule, or all are off: it finds nothing" in result.stdout


def test_a_table_points_to_import(folder: Path) -> None:
    (folder / "deals.csv").write_text("Deal,Stage\n1,Lead\n")
    (folder / "policy").write_text(json.dumps(policy("lead")))
    result = CliRunner().invoke(app, ["what-if", "deals.csv", "-p", "policy"])

    assert (result.exit_code, "andon import deals.csv" in result.stderr) == (1, True)


STATISTICAL: list[dict[str, Any]] = [
    {"kind": "shift"},
    {"kind": "bottleneck", "stage": "lead"},
    {"kind": "aging-learned"},
]


def test_every_statistical_rule_has_its_key_and_its_line(folder: Path) -> None:
    rules = policy("lead", "offer", rules=STATISTICAL) | {"silence": [{"source": "crm"}]}
    rules["pipelines"]["sales"]["false_alarms"] = 2
    found = json.loads(run(SALES, rules, "--format", "json").stdout)
    text = run(SALES, rules).stdout

    charts = ["/lead/time_in_stage_median", "/offer/time_in_stage_median", "/lead/arrivals"]
    charts += ["//throughput", "//lead_time_median", "//win_rate"]
    others = ["bottleneck/sales/lead", "aging-learned/sales/lead", "aging-learned/sales/offer", "silence/crm"]
    assert found["problems"] == {key: [] for key in [f"shift/sales{chart}" for chart in charts] + others}
    assert "measures" not in found
    for line in (
        "Fewer deals come into lead (shift)",
        "lead is a bottleneck (bottleneck)",
        "No event from crm (silence)",
    ):
        assert line in text


def slower_since(week: int, weeks: int) -> list[dict[str, Any]]:
    """Five deals come into lead each week, and stay two days there; since that week six."""
    begin, found = datetime(2025, 1, 6, 9, tzinfo=UTC), list[dict[str, Any]]()
    for number in range(weeks * 5):
        came = begin + timedelta(weeks=number // 5, hours=number % 5)
        left = came + timedelta(days=2 if number // 5 < week else 6)
        for at, stage in ((came, "lead"), (left, "offer")):
            one = event(0, str(number), "created" if stage == "lead" else "moved", pipeline="sales", stage=stage)
            found.append(one | {"id": f"{number}-{stage}", "time": at.isoformat()})
    return found


def test_a_problem_on_a_chart_says_by_how_much(folder: Path) -> None:
    rules = policy("lead", "offer", rules=[{"kind": "shift", "stage": "lead"}])
    log = slower_since(24, weeks=30)
    text = run(log, rules).stdout
    (problem,) = json.loads(run(log, rules, "--format", "json", "--measures").stdout)["problems"][
        "shift/sales/lead/time_in_stage_median"
    ]

    assert problem["trigger"] == ["2025-W25", "2025-W26", "2025-W27", "2025-W28"]
    assert (
        "In the last 4 weeks, deals usually stayed 6 days; in the 20 weeks they are compared with,"
        " 2 days. Of 100 pairs of a baseline week and one of the last 4 weeks, in 87 the recent week was worse."
        " By chance this chart says so about once in 1 quarters."
    ) in text


def test_measures_say_what_each_rule_costs(folder: Path) -> None:
    rules = policy("lead", "offer", rules=[*STATISTICAL, {"kind": "wip-high", "stage": "lead", "max": 0}])
    found = json.loads(run(SALES, rules, "--format", "json", "--measures", "--as-of", "2026-03-09").stdout)

    assert [row["period"] for row in found["measures"]] == ["2026-W10"] * 3
    assert found["measures"][0]["arrivals"] == 2
    assert found["problems"]["wip-high/sales/lead"][0]["cause"] == "unknown"
    assert found["chance"].keys() == found["problems"].keys()
    assert found["forecast"]["sales"]["why"] == "too-few-weeks"
    assert found["learned_counts"]["sales/lead"] == [
        {"from": "2026-03-08T23:00:00.000000Z", "limit_s": None, "count": None, "why": "log-too-short"}
    ]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([{"chart": "sales/nowhere/arrivals", "from": None, "reason": "r"}], "is not a chart of this policy"),
        ([{"chart": "sales/lead/arrivals", "from": "2027-W01", "reason": "r"}], "from 2026-W10 to 2026-W10"),
        ({}, "is not a list"),
    ],
)
def test_relocks_that_cannot_be_used_are_refused(written: Any, words: str, folder: Path) -> None:
    (folder / "relocks").write_text(json.dumps(written))
    result = run(SALES, policy("lead", "offer"), "--relocks", "relocks")

    assert (result.exit_code, words in " ".join(result.stderr.split())) == (1, True), result.stderr
