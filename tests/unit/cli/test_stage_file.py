"""A file of stages, YAML or CSV: all faults at once, each with its line and how to fix it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.stage_file import parse_csv, parse_yaml, read
from shared.contracts.stages import StageData
from shared.runtime.yaml_file import FaultsError

RIGHT = [
    StageData(source="crm", pipeline="default", stage="1234567", name="Proposal", order=2, probability=0.6),
    StageData.model_validate({"source": "crm", "pipeline": "default", "stage": "007", "outcome": "won"}),
    StageData(source="crm", pipeline="default", pipeline_name="Sales"),
]
YAML = """
stages:
  - {source: crm, pipeline: default, stage: 1234567, name: Proposal, order: 2, probability: 0.6}
  - {source: crm, pipeline: default, stage: 007, outcome: won}
  - {source: crm, pipeline: default, pipeline_name: Sales}
"""
CSV = (
    "source;pipeline;stage;name;order;probability;outcome;pipeline_name\r\n"
    "crm;default;1234567;Proposal;2;0.6;;\r\ncrm;default;007;;;;won;\r\n\r\ncrm;default;;;;;;Sales\r\n"
)


def test_the_same_stages_are_read_from_yaml_and_csv(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    (tmp_path / "a.CSV").write_bytes(b"\xef\xbb\xbf" + CSV.encode())

    assert read(tmp_path / "a.yaml") == read(tmp_path / "a.CSV") == RIGHT
    assert [data.key for data in read(tmp_path / "a.CSV")] == [data.key for data in RIGHT], (
        "an empty cell is an absent field"
    )


WRONG_YAML = """stages:
  - {source: crm, pipeline: default, stage: [1234567], name: Proposal}
  - {source: crm, stage: a, probability: 60, order: first, outcome: closed}
  - {source: crm, stage: b, nam: Offer}
  - {source: crm, stage: c}
  - {stage: d, name: D}
  - {source: crm, name: E}
  - proposal
  - {source: crm, stage: f, name: F}
  - {source: crm, stage: f, name: G}
more: 1
"""
WRONG_YAML_FAULTS = [
    "line 2: stages.0.stage: a list is not a text; write one",
    "line 3: stages.1.order: ",
    "line 3: stages.1.outcome: ",
    "line 3: stages.1.probability: '60' is not a probability; write a number from 0 to 1, such as 0.6",
    "line 4: stages.2.nam: unknown field; use one of source, pipeline, stage, name, pipeline_name, order,",
    "line 5: stages.3: does not describe the stage; add one of name, pipeline_name, order, probability, outcome",
    "line 6: stages.4.source: is missing; add it",
    "line 7: stages.5: neither pipeline nor stage is named; send the id of one",
    "line 8: stages.6: 'proposal' is not an entry; write stages:",
    "line 10: stages.8.stage: is in line 9 already; keep one",
    "line 11: more: unknown field; remove it",
]


def faults_of(text: str, form: str) -> list[str]:
    with pytest.raises(FaultsError) as error:
        (parse_csv if form == "csv" else parse_yaml)(text)
    return str(error.value).splitlines()


def test_all_faults_of_yaml_are_reported_at_once() -> None:
    faults = faults_of(WRONG_YAML, "yaml")

    assert len(faults) == len(WRONG_YAML_FAULTS)
    for fault, words in zip(sorted(faults), sorted(WRONG_YAML_FAULTS), strict=True):
        assert fault.startswith(words)


def test_all_faults_of_csv_are_reported_at_once() -> None:
    text = "source,pipeline,stage,name,probability\ncrm,p,a,A,60%\n,p,b,B,\ncrm,p,c,,\ncrm,p,d,D,0.5,x\ncrm,p,e,E,\n"
    faults = faults_of(text + "crm,p,e,F,\n", "csv")

    assert [fault.partition(":")[0] for fault in faults] == ["line 2", "line 3", "line 4", "line 5", "line 7"]
    assert "'60%' is not a probability; write a number from 0 to 1" in faults[0]
    assert faults[1] == "line 3: source: is missing; add it"


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("", "yaml", "line 1: stages: is missing"),
        ("stages: []", "yaml", "stages: is missing"),
        ("[", "yaml", "this is not YAML"),
        ("", "csv", "source: is missing; add the column"),
        ("source,colour", "csv", "line 1: colour: unknown column"),
        ("source,stage,stage", "csv", "stage: occurs twice"),
        ("source,stage,name\n", "csv", "the file has no stages"),
    ],
)
def test_anything_else_is_rejected_with_what_is_expected(text: str, form: str, words: str) -> None:
    assert any(words in fault for fault in faults_of(text, form))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=r"nowhere\.yaml"):
        read(tmp_path / "nowhere.yaml")


@given(st.text(alphabet="stages:-{}[]\",;\n source\tname'\x00é0", max_size=80))
def test_any_text_is_read_or_rejected(text: str) -> None:
    for parse in (parse_yaml, parse_csv):
        with suppress(FaultsError):
            parse(text)


def test_what_if_accepts_the_same_file(tmp_path: Path) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "crm",
        "type": "andon.deal.moved",
        "subject": "crm:1",
        "time": "2026-03-02T09:00:00Z",
        "data": {"pipeline": "default", "stage": "1234567"},
    }
    policy = {
        "version": 1,
        "pipelines": {
            "Sales": {
                "name": "S",
                "owner": {"name": "O", "mail": "o@x.example"},
                "stages": [{"id": "Proposal"}],
                "rules": [{"kind": "wip-high", "stage": "Proposal", "max": 0}],
            }
        },
    }
    (tmp_path / "events").write_text(json.dumps(event))
    (tmp_path / "policy").write_text(json.dumps(policy))
    (tmp_path / "stages.yaml").write_text(YAML)
    words = ["what-if", str(tmp_path / "events"), "-p", str(tmp_path / "policy"), "--format", "json", "--visits"]

    plain = json.loads(CliRunner().invoke(app, words).stdout)
    named = json.loads(CliRunner().invoke(app, [*words, "--stages", str(tmp_path / "stages.yaml")]).stdout)
    wrong = CliRunner().invoke(app, [*words, "--stages", str(tmp_path / "policy")])

    assert plain["visits"][0][1:3] == ["default", "1234567"]
    assert named["visits"][0][1:3] == ["Sales", "Proposal"]
    assert len(named["problems"]["wip-high/Sales/Proposal"]) == 1
    assert (wrong.exit_code, "stages: is missing" in wrong.output) == (1, True)
