"""Commands work by the version in force, where people change the policy in the browser. The file is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.problems import POLICY

HOOKS = """
hooks:
  erp: {kind: slack, url: "https://hooks.slack.com/services/x", pipelines: [new]}
"""


@pytest.fixture
async def managed(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooks.yaml").write_text(HOOKS)
    environment = {
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(tmp_path / "nowhere.yaml"),
        "ANDON_POLICY_MANAGED": "browser",
        "ANDON_NOTIFIER_HOOKS": str(tmp_path / "hooks.yaml"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connection = await asyncpg.connect(dsn)
    for schema in ("flow", "notices"):
        await connection.execute(f"INSERT INTO {schema}.policy_version VALUES (1, 'epoch', $1)", POLICY)
    await connection.close()


@pytest.mark.usefixtures("managed")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["hook", "list"], 0, "hooks.slack.com"),
        (["stages", "list"], 0, "No stage is known yet"),
        (["stages", "list", "--policy", "other.yaml"], 1, "other.yaml"),
        (["user", "forget", "HEAD@sales.example"], 1, "the policy in force names HEAD@sales.example"),
    ],
)
async def test_a_command_works_by_the_version_in_force(words: list[str], code: int, says: str) -> None:
    found = await asyncio.to_thread(CliRunner().invoke, app, words)

    assert (found.exit_code, says in " ".join(found.output.split())) == (code, True), found.output
