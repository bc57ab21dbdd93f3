"""What mails keep of their readers is shown to them, and erased, by `andon user` on a real Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.notifier.domain.readers import MailPace
from services.notifier.store import addresses
from shared.contracts.tickets import TicketChange
from shared.postgres.pool import open_pool
from tests.integration.notifier.test_preferences import DEPUTY, HEAD, NOON, RULES
from tests.support.databases import as_service
from tests.support.notice_rig import NoticeRig
from tests.support.problems import POLICY, day, ticket_event


@pytest.fixture
async def rig(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NoticeRig]:
    """Two readers got a mail each, and the deputy's was returned. The policy of the commands names the head only."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("ANDON_POSTGRES", dsn)
    monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
    pool = await open_pool(dsn, "notices")
    rig = await NoticeRig(pool, RULES, NOON).begin()
    await rig.handle(ticket_event())
    await pool.execute(
        "UPDATE mail SET state = 'sent', ended_at = now(), answer = '550 <' || to_mail || '>', bounce = to_mail"
    )
    await rig.handle(ticket_event(TicketChange.CLEARED, seq=2, at=day(1)))
    await rig.preferences.choose(DEPUTY, None, MailPace.DAILY, ())
    async with pool.acquire() as connection, connection.transaction():
        await addresses.turn_off(connection, DEPUTY, "5.1.1 <deputy@sales.example> unknown", NOON)
    await pool.execute("INSERT INTO report (address, due) VALUES ($1, $2)", DEPUTY, NOON)
    await pool.execute(
        "INSERT INTO tickets.notice (notice, ticket, reason, result, message_id, at, detail)"
        " VALUES ('n', 1, 'opened', 'bounced', '<m@x>', $1, '550 No such user DEPUTY@sales.example'),"
        " ('o', 1, 'opened', 'bounced', '<o@x>', $1, '550 No such user head@sales.example')",
        NOON,
    )
    yield rig
    await pool.close()


async def user(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["user", *arguments])


async def text_of_all(rig: NoticeRig) -> str:
    """Every row of the notifier's and the tickets' tables as text."""
    tables = await rig.pool.fetch(
        "SELECT schemaname AS schema, tablename AS name FROM pg_tables WHERE schemaname IN ('notices', 'tickets')"
    )
    rows = [await rig.pool.fetch(f'SELECT t::text FROM {one["schema"]}."{one["name"]}" AS t') for one in tables]
    return str(rows).lower()


async def test_a_reader_without_an_account_is_shown_all_that_mails_keep(rig: NoticeRig) -> None:
    result = await user("export", DEPUTY.upper())
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)

    assert found["account"] is None
    assert [one["detail"] for one in found["answers"]] == ["550 No such user DEPUTY@sales.example"]
    assert [(one["pace"], one["bounce"][:5]) for one in found["mail"]["choices"]] == [("daily", "5.1.1")]
    assert {one["to_mail"] for one in found["mail"]["mails"]} == {DEPUTY}
    assert len(found["mail"]["mails"]) >= 1
    assert len(found["mail"]["threads"]) == len(found["mail"]["reports"]) == 1


async def test_a_reader_is_forgotten_and_others_are_not(rig: NoticeRig) -> None:
    before = await rig.pool.fetchval("SELECT count(*) FROM mail")
    assert DEPUTY in await text_of_all(rig)
    result = await user("forget", DEPUTY)
    assert result.exit_code == 0, result.stderr

    left = await text_of_all(rig)
    assert DEPUTY not in left, left[left.index(DEPUTY) - 300 : left.index(DEPUTY) + 100]
    assert left.count(HEAD) > 3
    assert await rig.pool.fetchval("SELECT count(*) FROM mail") == before
    assert await rig.pool.fetchval("SELECT count(*) FROM mail WHERE to_mail = '' AND state = 'waiting'") == 0
    again = await user("forget", DEPUTY)
    assert (again.exit_code, "has no account" in again.stderr) == (1, True)


async def test_nobody_is_forgotten_whom_the_policy_names_or_who_is_sent_a_mail_just_now(rig: NoticeRig) -> None:
    before = await text_of_all(rig)
    named = await user("forget", HEAD.upper())
    assert named.exit_code == 1
    assert "names HEAD@SALES.EXAMPLE: take them out there" in named.stderr
    assert await text_of_all(rig) == before

    await rig.pool.execute(
        "UPDATE mail SET state = 'waiting', ended_at = NULL, claimed_until = now() + interval '1 minute'"
        " WHERE id = (SELECT max(id) FROM mail WHERE to_mail = $1)",
        DEPUTY,
    )
    sending = await user("forget", DEPUTY)
    assert (sending.exit_code, "is being sent; repeat this" in sending.stderr) == (1, True)
    assert DEPUTY in await text_of_all(rig)


@pytest.mark.parametrize("command", ["export", "forget"])
async def test_a_services_own_role_is_told_who_may(
    rig: NoticeRig, dsn: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_POSTGRES", as_service(dsn, "tickets"))
    result = await user(command, DEPUTY)

    assert result.exit_code == 1
    assert "docker compose run --rm andon" in result.stderr
    assert "permission denied" in result.stderr
    assert "Traceback" not in result.stderr
