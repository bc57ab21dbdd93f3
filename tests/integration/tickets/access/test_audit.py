"""The audit log: what it has, that nobody changes it unseen, and how long it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.access.audit import AuditEvent, first_fault
from services.tickets.access.roles import Role
from services.tickets.store import audit
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem
from tests.support.signed_in import Browser

MakeApp = Callable[..., Starlette]
MakeBrowser = Callable[..., Browser]
NOW = datetime(2026, 11, 2, 9, 30, 0, 123456, UTC)
WITHOUT_GUARD = "SET LOCAL session_replication_role = replica"


async def kept(pool: Pool) -> list[Any]:
    async with pool.acquire() as connection:
        return [row async for row in audit.rows(connection)]


async def test_sign_ins_changes_refusals_and_exports_are_written_down(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool, parts: TicketParts
) -> None:
    await parts.handle(record(event(problem()), 0))
    one = browser()
    await one.sign_in(people[Role.VIEWER], "wrong")
    await one.sign_in("nobody@shop.example")
    await one.sign_in(people[Role.VIEWER])
    await one.get("/ledger.csv")
    await one.send("/tickets/1/acknowledge", "/account", version="1")
    await one.send("/sign-out", "/account")
    await one.sign_in(people[Role.MEMBER])
    await one.send("/tickets/1/acknowledge", "/account", version="1")

    rows = await kept(pool)
    assert [row.event for row in rows] == [
        "sign-in-refused",
        "sign-in-refused",
        "signed-in",
        "exported",
        "refused",
        "signed-out",
        "signed-in",
        "ticket-changed",
    ]
    assert rows[4].detail == {"method": "POST", "path": "/tickets/1/acknowledge", "status": 403}
    assert rows[-1].detail == {"ticket": 1, "seq": 2, "change": "acknowledged"}
    assert rows[1].account is None
    assert first_fault(rows) is None
    assert not any("@" in str(row.detail) for row in rows)


async def test_who_gets_in_by_no_link_or_proxy_is_written_down_as_often_as_they_may_try(
    app_of: MakeApp, browser: MakeBrowser, pool: Pool
) -> None:
    stranger = browser("198.51.100.9")
    for _ in range(30):
        assert (await stranger.send("/sign-in/link/made-up", password="quite a long password")).status_code == 422
    app = app_of(sign_in="proxy", sign_in_proxies="10.0.0.5", sign_in_new_role="none")
    transport = httpx.ASGITransport(app, client=("10.0.0.5", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as named:
        answer = await named.get("/sign-in", headers={"x-forwarded-email": "eve@shop.example"})

    assert answer.status_code == 403
    rows = await kept(pool)
    assert {row.event for row in rows} == {"sign-in-refused"}
    assert [row.detail for row in rows] == [{"address": "198.51.100.9", "by": "link"}] * 20 + [
        {"address": "10.0.0.5", "by": "proxy"}
    ]


@pytest.mark.parametrize(
    "sql", ["UPDATE audit SET account = 7", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE id = 2"]
)
async def test_nothing_can_be_changed(pool: Pool, sql: str) -> None:
    await audit.note(pool, NOW, AuditEvent.SIGNED_OUT, 1)
    await audit.note(pool, NOW, AuditEvent.SIGNED_OUT, 2)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await pool.execute(sql)


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE audit SET account = 9 WHERE id = 2", "row 2 of 2026-11-02 09:30 was changed"),
        ("UPDATE audit SET at = at + interval '1 us' WHERE id = 2", "row 2 of 2026-11-02 09:30 was changed"),
        ("""UPDATE audit SET detail = '{"n": 0}' WHERE id = 2""", "row 2 of 2026-11-02 09:30 was changed"),
        ("DELETE FROM audit WHERE id = 2", "rows are missing between 1 and 3"),
        ("DELETE FROM audit WHERE id = 1", None),
    ],
)
async def test_what_a_superuser_changes_is_seen(pool: Pool, sql: str, fault: str | None) -> None:
    for n in range(3):
        await audit.note(pool, NOW, AuditEvent.EXPORTED, n, n=n)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(WITHOUT_GUARD)
        await connection.execute(sql)

    assert first_fault(await kept(pool)) == fault


async def test_many_at_once_make_one_chain_and_one_that_is_rolled_back_leaves_no_gap(pool: Pool) -> None:
    async def rolled_back() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await audit.record(connection, NOW, AuditEvent.REFUSED, 1)
            raise LookupError

    many = [audit.note(pool, NOW, AuditEvent.EXPORTED, n) for n in range(20)]
    await asyncio.gather(*many, rolled_back(), return_exceptions=True)

    rows = await kept(pool)
    assert [row.id for row in rows] == list(range(1, 21))
    assert first_fault(rows) is None


async def test_old_rows_are_forgotten_and_the_rest_is_still_a_chain(pool: Pool) -> None:
    for days in (500, 401, 399, 0):
        await audit.note(pool, NOW - timedelta(days=days), AuditEvent.SIGNED_OUT, days)
    await audit.forget(pool, NOW - timedelta(days=400))

    rows = await kept(pool)
    assert [row.account for row in rows] == [399, 0]
    assert first_fault(rows) is None
    await audit.note(pool, NOW, AuditEvent.SIGNED_OUT, 5)
    assert first_fault(await kept(pool)) is None
