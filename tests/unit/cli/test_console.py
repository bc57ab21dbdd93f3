"""Text from outside is printed literally: names in brackets are not markup."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services import demo
from services.cli.console import fail
from services.cli.main import app
from services.cli.stage_table import print_rows
from services.detector.publish.stage_catalog import CatalogStage
from shared.flow.stage_map import StageDescription, StageKey
from shared.flow.visits import ResolvedStage
from shared.policy import StageOutcome

POLICY = Path(demo.__file__).parent / "policy.yaml"

FOREIGN = ("Preis [/monat]", "Preis [eur] :euro:", r"C:\[x]")


@pytest.mark.parametrize("text", FOREIGN)
def test_a_failure_prints_text_from_outside_literally(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    fail(ValueError(text))

    assert capsys.readouterr().err == f"{text}\n"


@pytest.mark.parametrize("text", FOREIGN)
def test_stage_names_are_printed_literally(text: str) -> None:
    home = ResolvedStage(text, text, StageOutcome.OPEN)
    row = CatalogStage(StageKey("crm", text, text), text, StageDescription(name=text), home, True, 0, None)

    output = StringIO()

    print_rows(Console(file=output, width=400), [row])

    # The pipeline, its name, the stage, its name, and pipeline/stage of the policy.
    assert output.getvalue().count(text) == 6


def test_pipeline_names_are_printed_literally(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.read_text().replace("  new:", "  'new [eur]':", 1))
    result = CliRunner().invoke(app, ["policy", "check", str(file)])

    assert "new [eur]: " in result.output, result.output
