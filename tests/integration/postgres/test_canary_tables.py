"""The tables that the canary has for itself: as a service's own, in front of them, and never full."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.postgres.canary_tables import CanaryEmptying, CopiesUnavailable, aside, copies_of, front
from shared.postgres.migrate import SERVICES, migrate_all
from shared.postgres.pool import Pool, open_pool
from tests.support.databases import as_service

WITH_CANARY = {schema: package for schema, package in SERVICES.items() if copies_of(package)}
_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attgenerated::text, a.attnum
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY($2) AND a.attnum > 0 AND NOT a.attisdropped
"""
_COUNT = "SELECT count(*) FROM problem"
_PROBLEM = """
INSERT INTO problem (key, opened_at, peak, mode, historic, data, found, cleared_at)
VALUES ('k', now(), 1, 'active', false, '{}', '{}', CASE WHEN $1 THEN now() END)
"""
_TICKET = """
INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem, outcome, closed_at)
VALUES ($2, 'k', 'p', $1, 1, now(), now(), '{}', CASE $1 WHEN 'closed' THEN 'retracted' END,
    CASE $1 WHEN 'closed' THEN now() END) RETURNING id
"""


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Connections of tickets, as its role."""
    opened = await open_pool(as_service(dsn, "tickets"), "tickets", max_size=2)
    yield opened
    await opened.close()


@pytest.mark.parametrize("schema", WITH_CANARY)
async def test_they_have_the_columns_of_the_services_own(dsn: str, schema: str) -> None:
    copies = copies_of(WITH_CANARY[schema])
    assert copies is not None
    connection = await asyncpg.connect(dsn)
    own, made = [await connection.fetch(_COLUMNS, name, copies.tables) for name in (schema, front(schema))]
    await connection.close()

    assert set(map(tuple, made)) == set(map(tuple, own)) != set()


async def test_the_same_statement_meets_them_aside_and_the_services_own_elsewhere(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        for _ in range(2):
            # Prepared once, and used on both sides.
            async with aside(connection, "tickets"):
                await connection.execute(_PROBLEM, False)
                aside_now = await connection.fetchval(_COUNT)
            assert await connection.fetchval(_COUNT) == 0
            assert aside_now > 0
            await connection.execute("DELETE FROM tickets_canary.problem")
        await connection.execute(_PROBLEM, False)
    assert await pool.fetchval(_COUNT) == 1
    assert await pool.fetchval("SELECT count(*) FROM tickets_canary.problem") == 0


async def test_a_failure_aside_leaves_the_transaction_on_the_services_own(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(ZeroDivisionError):
            async with aside(connection, "tickets"):
                raise ZeroDivisionError

        await connection.execute(_PROBLEM, False)
    assert await pool.fetchval(_COUNT) == 1


async def test_numbers_of_tickets_are_none_of_real_ones_and_are_not_used_twice(pool: Pool) -> None:
    emptying, numbers = CanaryEmptying(pool, "tickets", "services.tickets"), []
    for name in ("a", "b"):
        async with pool.acquire() as connection, connection.transaction(), aside(connection, "tickets"):
            numbers.append(await connection.fetchval(_TICKET, "closed", name))
        assert await emptying.once()

    assert numbers == [9_000_000_000_000_001, 9_000_000_000_000_002]


async def test_they_are_emptied_but_not_while_a_run_is_under_way(pool: Pool) -> None:
    emptying = CanaryEmptying(pool, "tickets", "services.tickets")
    async with pool.acquire() as connection, connection.transaction(), aside(connection, "tickets"):
        await connection.execute(_PROBLEM, True)
        number = await connection.fetchval(_TICKET, "open", "a")

        # Another run begins, or this one goes on.
        assert not await emptying.once()
    assert not await emptying.once()

    await pool.execute("DELETE FROM tickets_canary.ticket WHERE id = $1", number)
    assert await emptying.once()
    assert await pool.fetchval("SELECT count(*) FROM tickets_canary.problem") == 0


async def test_a_run_waits_for_no_emptying(pool: Pool) -> None:
    async with pool.acquire() as emptying, emptying.transaction():
        await emptying.execute("SELECT pg_advisory_xact_lock(hashtextextended('tickets.canary', 0))")
        async with pool.acquire() as connection, connection.transaction():
            with pytest.raises(CopiesUnavailable, match="emptied"):
                async with aside(connection, "tickets"):
                    pass


async def test_without_them_nothing_is_written_into_the_services_own(pool: Pool, dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute("DROP SCHEMA tickets_canary CASCADE")
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(CopiesUnavailable, match="andon migrate"):
            async with aside(connection, "tickets"):
                await connection.execute(_PROBLEM, False)
    assert await pool.fetchval(_COUNT) == 0
    assert not await CanaryEmptying(pool, "tickets", "services.tickets").once()

    # Made again, though no migration is left to apply, and of use to the role at once.
    await migrate_all(dsn)
    assert await pool.fetchval("SELECT count(*) FROM tickets_canary.problem") == 0
    await owner.close()


async def test_without_rights_on_them_nothing_is_written_into_the_services_own(pool: Pool, dsn: str) -> None:
    owner = await asyncpg.connect(dsn)
    await owner.execute("REVOKE ALL ON SCHEMA tickets_canary FROM andon_tickets")
    await owner.close()
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(CopiesUnavailable, match="andon migrate"):
            async with aside(connection, "tickets"):
                await connection.execute(_PROBLEM, False)
    assert await pool.fetchval(_COUNT) == 0
