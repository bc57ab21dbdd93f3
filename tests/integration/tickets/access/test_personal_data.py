"""What is kept of a person is shown to them, and erased; `andon user export` and `forget` on a real Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.tickets import accounts as commands
from services.tickets.access.audit import first_fault
from services.tickets.access.roles import Role
from services.tickets.settings import TicketsSettings
from services.tickets.store import audit
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import POLICY, event, problem
from tests.support.signed_in import Browser

MakeBrowser = Callable[..., Browser]


@pytest.fixture
async def worked(
    browser: MakeBrowser,
    people: dict[Role, str],
    parts: TicketParts,
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Browser:
    """A member who has signed in, acknowledged a ticket, and asked for a new password."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("ANDON_POSTGRES", dsn)
    monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
    await parts.handle(record(event(problem()), 0))
    one = browser()
    await one.sign_in(people[Role.MEMBER], "wrong")
    await one.sign_in(people[Role.MEMBER])
    assert (await one.send("/tickets/1/acknowledge", "/account", version="1")).status_code == 303
    await commands.reset(TicketsSettings(sign_in="password", postgres=dsn), people[Role.MEMBER])  # type: ignore[arg-type]
    return one


async def user(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["user", *arguments])


async def text_of_all_tables(pool: Pool) -> str:
    """Every row of the schema as text."""
    tables = await pool.fetch("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'tickets'")
    rows = [await pool.fetch(f'SELECT t::text FROM "{table["name"]}" AS t') for table in tables]
    return str(rows)


async def test_all_that_is_kept_is_shown_but_no_secret(worked: Browser, people: dict[Role, str], pool: Pool) -> None:
    result = await user("export", people[Role.MEMBER].upper())
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)

    account = found["account"]
    assert (account["mail"], account["name"], account["role"]) == (people[Role.MEMBER], "Member", "member")
    assert account["has_password"] is True
    assert (len(found["sessions"]), len(found["links"])) == (1, 1)
    assert [(one["ticket"], one["change"]) for one in found["changes"]] == [(1, "acknowledged")]
    assert [one["event"] for one in found["audit"]] == ["sign-in-refused", "signed-in", "ticket-changed"]
    assert not any(secret in result.stdout for secret in ("argon2", "hash", worked.client.cookies["andon_session"]))
    # Every table with a column for an account has its part here.
    columns = await pool.fetch(
        "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'tickets'"
        " AND column_name = 'account'"
    )
    shown = {
        "session": "sessions",
        "sign_in_link": "links",
        "api_token": "tokens",
        "api_answer": "requests",
        "calendar_link": "calendar",
        "change": "changes",
        "policy_change": "policies",
        "audit": "audit",
    }
    assert {column["name"] for column in columns} == shown.keys()
    assert set(shown.values()) <= found.keys()


async def test_a_person_is_forgotten_and_the_tickets_history_is_not(
    worked: Browser, people: dict[Role, str], pool: Pool, browser: MakeBrowser
) -> None:
    result = await user("forget", people[Role.MEMBER])
    assert result.exit_code == 0, result.stderr

    left = await text_of_all_tables(pool)
    assert people[Role.MEMBER] not in left
    assert "Member" not in left
    assert (await worked.get("/tickets")).status_code == 303
    assert (await browser().sign_in(people[Role.MEMBER])).status_code == 422
    assert await pool.fetchval("SELECT count(*) FROM sign_in_link") == 0
    other = browser()
    await other.sign_in(people[Role.VIEWER])
    page = (await other.get("/tickets/1")).text
    assert "Somebody has seen it" in page
    async with pool.acquire() as connection:
        rows = [row async for row in audit.rows(connection)]
    assert first_fault(rows) is None
    assert [row.event for row in rows if row.account][:3] == ["sign-in-refused", "signed-in", "ticket-changed"]
    assert {"changed", "forgotten"} in [set(row.detail) for row in rows]


@pytest.mark.parametrize("command", ["export", "forget"])
async def test_whom_andon_does_not_know_is_said_so(worked: Browser, command: str) -> None:
    result = await user(command, "nobody@shop.example")

    assert result.exit_code == 1
    assert "nobody@shop.example has no account; see andon user list" in result.stderr


async def test_an_account_has_one_mail_address_and_a_name_that_can_be_shown(worked: Browser, pool: Pool) -> None:
    before = await pool.fetchval("SELECT count(*) FROM account")
    for mail, name in (("ada", "Ada"), ("a@x.example,b@x.example", "Ada"), ("ada@x.example", "A\nda")):
        assert (await user("add", mail, "--name", name)).exit_code == 1
    assert await pool.fetchval("SELECT count(*) FROM account") == before
