"""What comes from outside is printed as it is: names in brackets are no commands to the terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services import demo
from services.cli.commands import stages
from services.cli.console import fail
from services.cli.main import app
from services.detector.publish.stage_catalog import CatalogStage
from shared.flow.stage_map import StageDescription, StageKey
from shared.flow.visits import ResolvedStage
from shared.policy import StageOutcome

POLICY = Path(demo.__file__).parent / "policy.yaml"

FOREIGN = ("Preis [/monat]", "Preis [eur] :euro:", r"C:\[x]")


@pytest.mark.parametrize("text", FOREIGN)
def test_a_failure_says_foreign_text_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    fail(ValueError(text))

    assert capsys.readouterr().err == f"{text}\n"


@pytest.mark.parametrize("text", FOREIGN)
def test_stages_are_listed_by_the_names_that_they_have(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = ResolvedStage(text, text, StageOutcome.OPEN)
    row = CatalogStage(StageKey("crm", text, text), text, StageDescription(name=text), home, True, 0, None)

    async def rows(*_: Any) -> list[CatalogStage]:
        return [row]

    said = Console(file=StringIO(), width=400)
    monkeypatch.setattr(stages.control, "list_stages", rows)
    monkeypatch.setattr(stages, "_console", said)
    stages.show(POLICY, None)

    # Pipeline and its name, stage and its name, and the place in the policy.
    assert said.file.getvalue().count(text) == 6  # type: ignore[attr-defined]


def test_a_policy_is_told_by_the_names_that_it_has(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.read_text().replace("  new:", "  'new [eur]':", 1))
    told = CliRunner().invoke(app, ["policy", "check", str(file)])

    assert "new [eur]: " in told.output, told.output
