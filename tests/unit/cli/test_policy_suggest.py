"""`andon policy suggest`: a policy that passes the check and judges every event of its log, however thin the log is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.cli.suggest import outcome_of_name
from shared.flow.statistics.watched import pipeline_watches
from shared.policy import Mode, Policy, StageOutcome, load, parse
from shared.wording.suggested_policy import quoted

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "data" / "shop" / "events.jsonl.gz"
START = datetime(2025, 1, 6, 9, tzinfo=UTC)
HOSTILE = [
    "a: b, {c}",
    "no",
    "007",
    'q"uote\\',
    "line\nbreak",
    "# none",
    "Ünïcode 🙂",
    "- x",
    "\x85next",
    "[x]",
    "a" * 300,
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def event(number: int, deal: str, day: float, type_: str = "moved", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "crm",
        "type": f"andon.deal.{type_}",
        "subject": f"crm:{deal}",
        "time": (START + timedelta(days=day)).isoformat(),
        "data": data,
    }


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def suggested(events: list[dict[str, Any]], *options: str) -> Policy:
    """The policy of the events; it passes the check and judges all of them."""
    Path("events").write_text("\n".join(map(json.dumps, events)))
    result = run("policy", "suggest", "events", "--out", "policy.yaml", *options)
    assert result.exit_code == 0, result.output
    checked = run("policy", "check", "policy.yaml", "--against", "events")
    assert checked.exit_code == 0, checked.output
    assert run("what-if", "events", "-p", "policy.yaml", *options).exit_code == 0
    return load(Path("policy.yaml"))


def process(stages: list[str], deals: int, pipeline: str | None = "p", seed: int = 1) -> list[dict[str, Any]]:
    """Deals that pass all stages in turn, one or two a day, and are won."""
    random, found, day = Random(seed), list[dict[str, Any]](), 0.0
    where = {} if pipeline is None else {"pipeline": pipeline}
    for deal in range(deals):
        day += random.expovariate(1.5)
        at = day
        for step, stage in enumerate(stages):
            found.append(event(len(found), str(deal), at, "moved" if step else "created", stage=stage, **where))
            at += random.lognormvariate(1.5, 0.8)
        found.append(event(len(found), str(deal), at, "won", **where))
    return found


@pytest.mark.slow
def test_the_shop() -> None:
    result = run("policy", "suggest", str(SHOP), "--out", "policy.yaml", "--timezone", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    policy = load(Path("policy.yaml"))

    assert policy.timezone == "Europe/Berlin"
    assert policy.pipelines["sales"].open_stages == ("lead", "qualified", "demo", "proposal", "legal", "signing")
    assert policy.pipelines["renewals"].open_stages == ("due", "contacted", "quote", "negotiation", "approval")
    assert set(policy.pipelines["sales"].learned_rules) == set(policy.pipelines["sales"].open_stages)
    checked = run("policy", "check", "policy.yaml", "--against", str(SHOP), "--format", "json")
    against = json.loads(checked.stdout)["against"]
    assert against["pipelines"]["sales"]["by_chance"] <= 1 + 1e-9
    assert not any(price["is_usual"] for price in against["chance"].values())
    assert all(price["per_quarter"] <= 0.1 for key, price in against["chance"].items() if key.startswith("wip"))


def test_a_year_of_a_stable_process_gives_limits() -> None:
    policy = suggested(process(["lead", "offer"], 550))

    rules = {(rule.kind, getattr(rule, "stage", None)): rule for rule in policy.pipelines["p"].rules}
    assert rules["wip-high", "lead"].mode is Mode.MONITOR
    assert ("bottleneck", "offer") in rules
    text = Path("policy.yaml").read_text()
    assert "15 % of visits last longer than" in text
    assert "stable weeks" in text


def test_a_log_too_short_to_learn_from() -> None:
    policy = suggested(process(["lead", "offer"], 30))

    text = Path("policy.yaml").read_text()
    assert "nothing is learned yet: the log covers less than 180 days" in text
    assert "charts are judged once their baseline of 20 is complete" in text
    assert not [rule for rule in policy.pipelines["p"].rules if rule.kind.startswith("wip")]


def test_a_single_event_is_enough() -> None:
    policy = suggested([event(0, "1", 0, "created", pipeline="p", stage="lead")])

    assert policy.pipelines["p"].open_stages == ("lead",)


def test_one_stage_that_is_rarely_entered() -> None:
    log = [event(n, str(n), 20 * n, "created", pipeline="p", stage="lead") for n in range(20)]

    suggested(log)

    text = Path("policy.yaml").read_text()
    assert "nothing is learned yet: 0 finished visits in 180 days, 30 are needed" in text


def test_names_that_need_quotes() -> None:
    log = process(HOSTILE, 3, pipeline="New: {business} #1\n")

    policy = suggested(log)

    assert list(policy.pipelines) == ["New: {business} #1\n"]
    assert set(next(iter(policy.pipelines.values())).open_stages) == set(HOSTILE)


def test_a_pipeline_that_no_event_names() -> None:
    policy = suggested(process(["lead", "offer"], 5, pipeline=None))

    assert policy.pipelines["default"].open_stages == ("lead", "offer")


def test_many_stages_share_the_false_alarms() -> None:
    policy = suggested(process([f"s{n:02}" for n in range(40)], 4))

    pipeline = policy.pipelines["p"]
    assert len(pipeline.learned_rules) == 30
    assert pipeline_watches("p", pipeline)[0].level > 0
    assert "aging-learned is left to the stages with more visits" in Path("policy.yaml").read_text()


def test_stages_that_close_deals() -> None:
    log = [
        event(0, "1", 0, "created", pipeline="p", stage="lead"),
        event(1, "1", 1, "won", pipeline="p", stage="signed"),
        event(2, "2", 2, "created", pipeline="p", stage="lead"),
        event(3, "2", 3, "moved", pipeline="p", stage="Closed lost"),
        event(4, "3", 4, "created", pipeline="p", stage="lead"),
        event(5, "3", 5, "lost", pipeline="p", stage="lead"),
    ]

    pipeline = suggested(log).pipelines["p"]

    assert {stage.id: stage.outcome for stage in pipeline.stages} == {
        "lead": StageOutcome.OPEN,
        "Closed lost": StageOutcome.LOST,
        "signed": StageOutcome.WON,
    }


def test_names_and_outcomes_of_a_stages_file() -> None:
    Path("stages.json").write_text(
        json.dumps(
            {
                "stages": [
                    {"source": "crm", "pipeline": "p", "pipeline_name": "New business"},
                    {"source": "crm", "pipeline": "p", "stage": "1", "name": "Lead"},
                    {"source": "crm", "pipeline": "p", "stage": "2", "name": "Signed", "outcome": "won"},
                ]
            }
        )
    )
    log = [event(0, "1", 0, "created", pipeline="p", stage="1"), event(1, "1", 1, pipeline="p", stage="2")]

    pipeline = suggested(log, "--stages", "stages.json").pipelines["p"]

    assert pipeline.name == "New business"
    assert [(stage.name, stage.outcome) for stage in pipeline.stages] == [
        ("Lead", StageOutcome.OPEN),
        ("Signed", StageOutcome.WON),
    ]


def test_stages_come_in_the_order_in_which_most_deals_pass_them() -> None:
    log = process(["c", "b", "a"], 9)
    log += [event(1000, "x", 50, "created", pipeline="p", stage="a"), event(1001, "x", 51, pipeline="p", stage="c")]

    assert suggested(log).pipelines["p"].open_stages == ("c", "b", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: No such file or directory; name a file of events"),
        (["empty"], "empty: contains no event"),
        (["stageless"], "stageless: no event names a stage; import the history of stages"),
        (["good", "--timezone", "Europe/Atlantis"], "'Europe/Atlantis' is not a time zone"),
        (["good", "--out", "empty"], "--out empty: exists already"),
        (["good", "--out", "no/such/folder"], "No such file or directory"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: list[str], message: str) -> None:
    Path("empty").write_text("")
    Path("stageless").write_text(json.dumps(event(0, "1", 0, "created", name="One")))
    Path("good").write_text(json.dumps(event(0, "1", 0, "created", pipeline="p", stage="lead")))

    result = run("policy", "suggest", *arguments)

    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("text", HOSTILE)
def test_quoted_text_is_read_as_it_was(text: str) -> None:
    read = parse(
        f"version: 1\npipelines:\n  {quoted(text)}:\n    name: {quoted(text)}\n"
        f"    owner: {{name: O, mail: o@x.example}}\n    stages: [{{id: {quoted(text)}}}]\n"
    )

    assert list(read.pipelines) == [text]
    assert read.pipelines[text].open_stages == (text,)
    assert "\n" not in quoted(text)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("Closed Won", StageOutcome.WON), ("verloren", StageOutcome.LOST), ("Won deals handover", None), ("Offer", None)],
)
def test_what_a_name_says_of_the_outcome(name: str, outcome: StageOutcome | None) -> None:
    assert outcome_of_name(name) is outcome
