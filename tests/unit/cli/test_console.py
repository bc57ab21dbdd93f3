"""Text from outside is printed literally: names in brackets are not markup."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import ANY

import pytest
from typer.testing import CliRunner

from services import demo
from services.cli.console import OutputForm, fail
from services.cli.main import app
from services.cli.stage_table import COLUMNS, check_source, print_rows
from services.detector.publish.stage_catalog import CatalogStage
from shared.flow.stage_lookup import ResolvedStage
from shared.flow.stage_map import StageDescription, StageKey
from shared.policy import StageOutcome

POLICY = Path(demo.__file__).parent / "policy.yaml"

FOREIGN = ("Preis [/monat]", "Preis [eur] :euro:", r"C:\[x]")


@pytest.mark.parametrize("text", FOREIGN)
def test_a_failure_prints_text_from_outside_literally(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    fail(ValueError(text))

    assert capsys.readouterr().err == f"{text}\n"


def stage(text: str, hint: str | None = None) -> CatalogStage:
    home = ResolvedStage(text, text, StageOutcome.OPEN)
    return CatalogStage(StageKey("crm", text, text), text, StageDescription(name=text), home, True, 0, hint)


@pytest.mark.parametrize("text", FOREIGN)
def test_stage_names_are_printed_literally(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([stage(text)], OutputForm.TEXT)

    # The pipeline, its name, the stage, its name, and pipeline/stage of the policy.
    assert capsys.readouterr().out.count(text) == 6


def test_stages_are_neither_cut_nor_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    long = "A stage with a name that is longer than any terminal is wide " * 4
    print_rows([stage(long.strip(), hint="do this " * 30), stage("b")], OutputForm.TEXT)

    header, first, _, hint = capsys.readouterr().out.splitlines()
    assert header.split() == list(COLUMNS)
    assert first.count(long.strip()) == 6
    assert hint.split() == ["-", *["do", "this"] * 30]


def test_a_stage_name_cannot_send_commands_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([stage("a\x1b]0;owned\x07", hint="b\x1b[2J")], OutputForm.TEXT)

    assert "\x1b" not in capsys.readouterr().out


def test_stages_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([stage("Angebot")], OutputForm.JSON)

    (found,) = json.loads(capsys.readouterr().out)
    assert found["policy"] == {"pipeline": "Angebot", "stage": "Angebot"}
    assert (found["source"], found["name"], found["deals"], found["hint"]) == ("crm", "Angebot", 0, None)


def test_an_empty_list_of_stages_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], OutputForm.TEXT)
    assert capsys.readouterr() == ("", ANY)
    print_rows([], OutputForm.JSON)
    assert json.loads(capsys.readouterr().out) == []


def test_a_source_that_is_not_known_is_an_error() -> None:
    check_source("crm", {"crm"})
    with pytest.raises(ValueError, match="crn: no such source; known are crm, other"):
        check_source("crn", {"other", "crm"})


def test_pipeline_names_are_printed_literally(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.read_text().replace("  new:", "  'new [eur]':", 1))
    result = CliRunner().invoke(app, ["policy", "check", str(file)])

    assert "new [eur]: " in result.output, result.output


RULELESS = """
version: 1
pipelines:
  a: {name: A, owner: {name: O, mail: o@x.example}, stages: [{id: s}]}
  b:
    name: B
    owner: {name: O, mail: o@x.example}
    stages: [{id: s}]
    rules: [{kind: wip-high, stage: s, max: 1, mode: "off"}]
  c: {name: C, owner: {name: O, mail: o@x.example}, stages: [{id: s}], rules: [{kind: wip-high, stage: s, max: 1}]}
"""


def test_pipelines_without_rules_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(RULELESS)
    text = CliRunner().invoke(app, ["policy", "check", str(file)])
    document = json.loads(CliRunner().invoke(app, ["policy", "check", str(file), "--format", "json"]).stdout)

    assert text.exit_code == 0
    assert [line.split()[:3] for line in text.stderr.splitlines()] == [
        ["warning:", "pipeline", "a"],
        ["warning:", "every", "rule"],
    ]
    assert text.stdout.splitlines()[1] == "b: 1 stage, 1 rule (1 off), owner o@x.example"
    assert (document["valid"], len(document["warnings"])) == (True, 2)
    assert document["pipelines"]["b"]["rules"] == {"active": 0, "monitor": 0, "off": 1}


def test_faults_of_a_policy_as_json(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 0\npipelines: {}\n")
    result = CliRunner().invoke(app, ["policy", "check", str(file), "--format", "json"])

    document = json.loads(result.stdout)
    assert (result.exit_code, document["valid"]) == (1, False)
    assert [fault["line"] for fault in document["faults"]] == [1, 2]


@pytest.mark.parametrize(
    "command", ["source check crm {}", "import {} --source crm --dry-run", f"what-if {{}} --policy {POLICY}"]
)
@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_file_that_cannot_be_read_is_named_in_plain_words(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {crm: {kind: cloudevents, secrets: [a-long-random-key-of-ours-01]}}")
    monkeypatch.setenv("ANDON_SOURCES", str(sources))
    result = CliRunner().invoke(app, command.format(tmp_path / name).split())

    assert (result.exit_code, "Errno" in result.output) == (1, False)
    assert any(words in result.output for words in ("No such file", "Is a directory")), result.output
