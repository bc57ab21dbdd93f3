"""Pages that are asked for again with their tag: not made again while they are the same, and never kept when not."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.tickets.access.roles import THIS_MACHINE, Role, Visitor, visiting
from services.tickets.present import LogClock, present
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_tags import PageTags
from services.tickets.web.zones import reader_in
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock, WholeMinutes
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.records import TicketParts, record
from tests.integration.tickets.test_now import now_event, told_at
from tests.support.problems import policy

PAGES = ("/tickets", "/tickets/1", "/pipelines", "/pipelines/new", "/stage?pipeline=new&stage=proposal")
COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'tickets' AND table_type = 'BASE TABLE' AND is_generated = 'NEVER' ORDER BY 1, 2
"""


class Minutes:
    """A clock that a test sets."""

    at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class NamedNote:
    """A page that shows a row, and counts how often it was made."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self.made, self.clock = pool, 0, Minutes()
        self._page = PageTags(pool, self.clock, "UTC").watch(self._make)

    async def _make(self, request: Request) -> Response:
        self.made += 1
        name = await self._pool.fetchval("SELECT name FROM stage")
        return answer_if_changed(request, HTMLResponse(f"{name}, {self.clock.now()}"))

    async def ask(self, tag: str = "", query: str = "") -> Response:
        headers = [(b"if-none-match", tag.encode())] if tag else []
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": headers}
        return await self._page(Request(scope))


@pytest.fixture
async def note(pool: Pool) -> NamedNote:
    await pool.execute(
        "INSERT INTO stage (pipeline, stage, name, is_watched, deals) VALUES ('new', 'demo', 'Demo', true, 1)"
    )
    return NamedNote(pool)


async def test_a_page_is_not_made_again_while_its_statements_answer_the_same(note: NamedNote, pool: Pool) -> None:
    first = await note.ask()
    tag = first.headers["etag"]
    assert (await note.ask(tag)).status_code == 304
    made = note.made

    again = await note.ask(tag)

    assert (again.status_code, again.headers["etag"], note.made) == (304, tag, made)
    await pool.execute("UPDATE stage SET name = 'Trial'")
    changed = await note.ask(tag)
    assert (changed.status_code, note.made) == (200, made + 1)
    assert b"Trial" in changed.body


async def test_a_page_is_made_anew_for_another_minute_reader_or_address(note: NamedNote) -> None:
    tag = (await note.ask()).headers["etag"]
    await note.ask(tag)

    with visiting(Visitor(Role.VIEWER, 1, "Other")):
        await note.ask(tag)
    with reader_in("Asia/Tokyo"):
        await note.ask(tag)
    await note.ask(tag, "sort=money")
    assert note.made == 5
    with visiting(THIS_MACHINE):
        note.clock.at += timedelta(minutes=1)
        assert (await note.ask(tag)).status_code == 200


async def test_pages_follow_the_time_of_a_log_in_whole_minutes(pool: Pool) -> None:
    at = datetime(2026, 3, 1, 12, 0, 59, tzinfo=UTC)
    await pool.execute("INSERT INTO judged (at) VALUES ($1)", at)

    assert await present(pool, WholeMinutes(LogClock(SystemClock()))) == at.replace(second=0)


async def test_a_page_is_kept_while_only_other_stages_change(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    told = await told_at(web) + timedelta(seconds=1)
    clock = Minutes()
    clock.at = told.replace(second=0, microsecond=0)
    await parts.handle(record(now_event(told), 0))
    app = page_app(TicketParts(pool, policy(), clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as asked:
        tags = {page: (await asked.get(page)).headers["etag"] for page in PAGES}
        for page, tag in tags.items():
            await asked.get(page, headers={"if-none-match": tag})
        await pool.execute("UPDATE judged SET at = $1", clock.at + timedelta(seconds=59.9))
        kept = {page: await asked.get(page, headers={"if-none-match": tag}) for page, tag in tags.items()}
        await pool.execute("UPDATE judged SET at = $1", clock.at + timedelta(seconds=60))
        later = await asked.get("/tickets", headers={"if-none-match": tags["/tickets"]})

    assert [page for page, answer in kept.items() if answer.status_code != 304] == []
    assert later.status_code == 200


# Another value of a column, by its type. What a check refuses is left as it is.
OTHER = {
    "text": "{0} || 'x'",
    "bigint": "{0} + 1",
    "integer": "{0} + 1",
    "double precision": "{0} + 1",
    "boolean": "NOT {0}",
    "date": "{0} + 1",
    "timestamp with time zone": "{0} + interval '1 day'",
}
# Of a column of JSON, so many values; all of them passed once, in 18 s.
JSON_VALUES = 4
_VALUES = """
SELECT path, value FROM (
    SELECT ARRAY[k] AS path, v AS value FROM {table}, jsonb_each({column}) AS e (k, v) WHERE {table}.ctid = $1
    UNION ALL
    SELECT ARRAY[k, l], w FROM {table}, jsonb_each({column}) AS e (k, v),
        jsonb_each(CASE jsonb_typeof(v) WHEN 'object' THEN v ELSE '{{}}' END) AS f (l, w) WHERE {table}.ctid = $1
) AS found WHERE jsonb_typeof(value) IN ('number', 'string', 'null')
"""


async def others(pool: Pool, table: str, column: str, kind: str) -> AsyncIterator[str]:
    """Change the column in one row in each way that the database takes, and change it back."""
    row = await pool.fetchval(f"SELECT ctid FROM {table} LIMIT 1")
    if row is None:
        return
    ways = [OTHER[kind].format(column)] if kind in OTHER else []
    if (
        kind == "jsonb"
        and await pool.fetchval(f"SELECT jsonb_typeof({column}) FROM {table} WHERE ctid = $1", row) == "object"
    ):
        found = await pool.fetch(_VALUES.format(table=table, column=column), row)
        for path, value in random.Random(column).sample(found, min(JSON_VALUES, len(found))):
            other = value + 1 if isinstance(value, int | float) else _other(str(value))
            ways.append(f"jsonb_set({column}, '{{{','.join(path)}}}', '{orjson.dumps(other).decode()}')")
    for way in ways:
        try:
            row, before = await _set(pool, table, column, way, row)
        except asyncpg.PostgresError:
            continue
        yield f"{table}.{column} = {way}"
        row, _ = await _set(pool, table, column, "$2", row, before)


def _other(text: str) -> str:
    try:
        return (datetime.fromisoformat(text) - timedelta(days=1)).isoformat()
    except ValueError:
        return f"{text}x"


async def _set(pool: Pool, table: str, column: str, way: str, row: Any, *values: Any) -> tuple[Any, Any]:
    """Where the row is then, and what it had before. Triggers are not asked."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        before = await connection.fetchval(f"SELECT {column} FROM {table} WHERE ctid = $1", row)
        sql = f"UPDATE {table} SET {column} = {way} WHERE ctid = $1 RETURNING ctid"
        return await connection.fetchval(sql, row, *values), before


async def test_whatever_changes_in_the_database_no_page_is_kept_that_would_be_another(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    """Each value of a row of each table is changed, where the database takes it, and changed back."""
    await parts.handle(record(now_event(await told_at(web) + timedelta(seconds=1)), 0))
    clock = Minutes()
    clock.at = datetime.now(UTC).replace(second=0, microsecond=0)
    app, wrong, remade = page_app(TicketParts(pool, policy(), clock)), list[str](), set[str]()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as asked:
        tags = {page: (await asked.get(page)).headers["etag"] for page in PAGES}

        async def is_kept(page: str) -> bool:
            return (await asked.get(page, headers={"if-none-match": tags[page]})).status_code == 304

        assert all([await is_kept(page) for page in PAGES for _ in range(2)])
        for table, column, kind in [tuple(row) for row in await pool.fetch(COLUMNS)]:
            async for change in others(pool, table, column, kind):
                for page in PAGES:
                    try:
                        if not await is_kept(page):
                            remade.add(table)
                        elif (await asked.get(page)).headers["etag"] != tags[page]:
                            wrong.append(f"{page} after {change}")
                    except (ValueError, LookupError, TypeError, asyncpg.PostgresError):
                        # What cannot be read is not kept.
                        remade.add(table)

    assert wrong == []
    assert {"ticket", "change", "problem", "measure", "notice", "stage_now", "evidence_now"} <= remade
