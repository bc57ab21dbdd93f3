"""`andon canary` where nothing answers: it says so, and its exit code names the step."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.demo.ports import free_port

SECRET = "any long text"


@pytest.fixture(autouse=True)
def nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("ANDON_CANARY_INTAKE", f"http://127.0.0.1:{free_port()}")


def test_without_a_secret_it_cannot_be_tried() -> None:
    result = CliRunner().invoke(app, ["canary"])

    assert result.exit_code == 1
    assert "ANDON_CANARY_SECRET is missing" in result.output


def test_an_intake_that_does_not_answer_is_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_CANARY_SECRET", SECRET)

    result = CliRunner().invoke(app, ["canary", "--within", "1"])

    assert result.exit_code == 3
    assert "stuck at webhook: intake did not accept it: http://127.0.0.1:" in result.output
