"""Commands before a server that is not there say so in one line, with the way out."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

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
def test_a_server_that_is_not_there_is_told_in_one_line(
    command: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("ANDON_POSTGRES", f"postgresql://andon:a-secret@localhost:{free_port()}/andon")
    result = CliRunner().invoke(app, command.split())

    said = [line for line in result.stderr.splitlines() if line]
    assert (result.exit_code, len(said)) == (1, 1), result.stderr
    assert f"({names}) cannot be used" in said[0]
    assert "start it, or set its address" in said[0]
    assert "a-secret" not in result.stderr


def test_any_other_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("shared.postgres.migrate.migrate_all", broken)

    assert isinstance(CliRunner().invoke(app, ["migrate"]).exception, RuntimeError)
