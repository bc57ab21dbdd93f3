"""An unreachable server is reported in one line that names the setting to change."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from services.cli.errors import explain
from services.cli.main import app
from tests.support.ports import free_port


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("topics create", "ANDON_KAFKA"),
        ("dead-letters list", "ANDON_KAFKA"),
        ("migrate", "ANDON_POSTGRES"),
    ],
)
def test_an_unreachable_server_is_reported_in_one_line(
    command: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("ANDON_POSTGRES", f"postgresql://andon:a-secret@localhost:{free_port()}/andon")
    result = CliRunner().invoke(app, command.split())

    lines = [line for line in result.stderr.splitlines() if line]
    assert (result.exit_code, len(lines)) == (1, 1), result.stderr
    assert f"({names}) cannot be used" in lines[0]
    assert "start it, or set its address" in lines[0]
    assert "a-secret" not in result.stderr


def test_other_errors_are_not_hidden() -> None:
    assert explain(RuntimeError("a bug")) is None
    assert explain(OSError(28, "No space left on device")) is None
