"""`andon hook`, on a real Postgres and a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.problems import POLICY
from tests.support.receiver import HookAnswered, HookReceiver, hook_receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEAD = """
INSERT INTO notices.hook_delivery (hook, name, ticket, key, opened_at, reason, event, state, ended_at, answer)
VALUES ('erp', $1, 7, 'aging/new/proposal', now(), 'opened', '{}', 'dead', now(), '400 never')
"""


@pytest.fixture
def server(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookReceiver]:
    with hook_receiver() as found:
        (tmp_path / "policy.yaml").write_text(POLICY)
        text = f"hooks:\n  erp:\n    kind: webhook\n    url: {found.url}\n    secrets: [{SECRET}]\n"
        (tmp_path / "hooks.yaml").write_text(text)
        monkeypatch.setenv("ANDON_POSTGRES", dsn)
        monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
        monkeypatch.setenv("ANDON_NOTIFIER_HOOKS", str(tmp_path / "hooks.yaml"))
        monkeypatch.setenv("ANDON_NOTIFIER_HOOKS_ALLOW", "127.0.0.1")
        yield found


async def andon(*words: str) -> Result:
    """The command, in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["hook", *words])


async def execute(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement, *values)
    await connection.close()


async def test_a_test_message_shows_the_answer(server: HookReceiver) -> None:
    server.answers = [HookAnswered(403, body="no access")]
    refused, accepted = await andon("test", "erp"), await andon("test", "erp")

    assert (refused.exit_code, accepted.exit_code) == (1, 0)
    assert "403 no access" in refused.output
    assert server.got[0].document["data"]["title"] == "This is a test of Andon"
    assert server.got[0].id.startswith("andon-test-")


async def test_dead_letters_are_listed_and_sent_again(server: HookReceiver, dsn: str) -> None:
    await execute(dsn, DEAD, "andon-7-1-a")
    await execute(dsn, DEAD, "andon-7-1-b")
    listed = json.loads((await andon("list", "--format", "json")).output)
    dead = json.loads((await andon("dead", "erp", "--format", "json")).output)

    assert [(one["name"], one["host"], one["dead"]) for one in listed] == [("erp", "127.0.0.1", "2")]
    assert "key=1" not in str(listed)
    assert [one["answer"] for one in dead] == ["400 never"] * 2
    first = str(dead[0]["id"])
    assert (await andon("resend", "erp", first)).exit_code == 0
    assert (await andon("resend", "erp", first)).exit_code == 1
    assert "1 message is sent again" in (await andon("resend", "erp")).output
    assert "no message was given up" in (await andon("dead")).output


async def test_a_disabled_receiver_is_enabled_first(server: HookReceiver, dsn: str) -> None:
    await execute(dsn, "INSERT INTO notices.hook (name, disabled_at) VALUES ('erp', now())")
    refused = await andon("resend", "erp")

    assert (refused.exit_code, "andon hook enable erp" in " ".join(refused.output.split())) == (1, True)
    assert "disabled" in (await andon("list")).output
    assert (await andon("enable", "erp")).exit_code == 0
    assert (await andon("resend", "erp")).exit_code == 0


async def test_faults_are_told_with_the_way_out(server: HookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "known are erp" in (await andon("test", "other")).output
    monkeypatch.delenv("ANDON_NOTIFIER_HOOKS")
    none = await andon("list")

    assert (none.exit_code, "ANDON_NOTIFIER_HOOKS" in none.output) == (1, True)
