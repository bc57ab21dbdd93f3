"""`andon user token` on a real Postgres."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.problems import POLICY

MAIL = "robot@shop.example"


@pytest.fixture
async def andon(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("ANDON_POSTGRES", dsn)
    monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
    await user("add", MAIL, "--role", "viewer")
    return dsn


async def user(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["user", *arguments])


async def test_a_token_is_printed_once_listed_without_it_and_revoked(andon: str) -> None:
    made = await user("token", "add", MAIL, "--name", "report", "--days", "30")
    assert (made.exit_code, bool(re.fullmatch(r"andon_[\w-]{43}\n", made.stdout))) == (0, True), made.output
    listed = await user("token", "list", "--format", "json")
    (shown,) = json.loads(listed.stdout)
    assert (shown["mail"], shown["name"], shown["scope"], shown["last used"]) == (MAIL, "report", "read", "never")
    assert made.stdout.strip() not in listed.output
    assert (await user("token", "revoke", shown["number"])).exit_code == 0
    again = await user("token", "revoke", shown["number"])
    assert (again.exit_code, "there is no token" in again.stderr) == (1, True)
    assert "there are no tokens" in (await user("token", "list")).stderr
    connection = await asyncpg.connect(andon)
    events = await connection.fetch("SELECT event FROM tickets.audit WHERE event LIKE 'token%'")
    await connection.close()
    assert len(events) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nobody@shop.example", "--name", "x"), "has no account"),
        ((MAIL, "--name", "x", "--scope", "work"), "no more than its account"),
        ((MAIL, "--name", "x", "--days", "366"), "1 to 365 days"),
        ((MAIL, "--name", ""), "Name the token"),
    ],
)
async def test_a_token_that_cannot_be_is_refused(andon: str, arguments: tuple[str, ...], text: str) -> None:
    refused = await user("token", "add", *arguments)

    assert (refused.exit_code, text in " ".join(refused.stderr.split())) == (1, True), refused.output
