"""The role of Grafana reads the views and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from shared.postgres.cluster_roles import RoleError
from shared.postgres.migrate import migrate_all
from shared.postgres.report import ROLE, grant_report
from tests.support.databases import migrated_database, new_database

VIEWS = {
    *("measure", "problem", "stage_now", "signal_problem", "stage", "visit", "closing"),
    *("ticket", "cord_pull", "change", "sealed_plan", "study", "notice"),
}


# One for all tests: the role belongs to the whole server.
PASSWORD = "a 'quoted' \\ password"


def as_user(dsn: str, user: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(PASSWORD)}@{parts.hostname}:{parts.port}"))


@pytest.fixture(scope="module")
async def reported(postgres: str) -> str:
    """DSN of a database whose views the role may read: one for all tests, which change nothing."""
    dsn = await migrated_database(postgres)
    await grant_report(dsn, PASSWORD)
    return dsn


@pytest.fixture
async def reader(reported: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the role, as Grafana makes it."""
    connection = await asyncpg.connect(as_user(reported, ROLE))
    yield connection
    await connection.close()


async def test_every_view_can_be_read(reader: asyncpg.Connection) -> None:
    rows = await reader.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'report'")

    assert {row["table_name"] for row in rows} == VIEWS
    for view in VIEWS:
        await reader.fetch(f"SELECT * FROM report.{view}")


async def test_a_reader_can_neither_hold_up_the_server_nor_take_its_connections(reader: asyncpg.Connection) -> None:
    role = await reader.fetchrow("SELECT rolsuper, rolcreaterole, rolconnlimit FROM pg_roles WHERE rolname = $1", ROLE)

    assert role is not None
    assert tuple(role) == (False, False, 10)
    assert await reader.fetchval("SHOW statement_timeout") == "15s"
    assert await reader.fetchval("SHOW default_transaction_read_only") == "on"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE report.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "SELECT * FROM flow.visit",
        "SELECT * FROM tickets.ticket",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "DELETE FROM report.ticket",
        "CREATE ROLE mine SUPERUSER",
        "SET ROLE {owner}",
    ],
)
@pytest.mark.parametrize("read_write", [False, True])
async def test_nothing_else_can_be_done(reader: asyncpg.Connection, reported: str, sql: str, read_write: bool) -> None:
    """A viewer may end the read-only default: the rights hold without it. Temporary tables alone stay possible."""
    if read_write:
        await reader.execute("SET default_transaction_read_only = off")
        if "TEMP" in sql:
            return
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await reader.execute(sql.format(owner=urlsplit(reported).username))


async def test_many_databases_at_once_and_again(postgres: str) -> None:
    databases = [await new_database(postgres) for _ in range(4)]
    await asyncio.gather(*(migrate_all(dsn) for dsn in databases))

    await asyncio.gather(*(grant_report(dsn) for dsn in databases * 2))


@pytest.mark.parametrize("right", ["CREATEROLE", "NOCREATEROLE"])
async def test_the_services_need_no_superuser(postgres: str, right: str) -> None:
    """CREATEROLE and a database of their own are enough, and without CREATEROLE the way out is named."""
    dsn = await new_database(postgres)
    user = f"u{secrets.token_hex(4)}"
    superuser = await asyncpg.connect(dsn)
    await superuser.execute(f"CREATE ROLE {user} LOGIN NOSUPERUSER {right} PASSWORD 'a ''quoted'' \\ password'")
    if right == "CREATEROLE":
        # Who makes the role may change it; in this cluster another made it.
        await grant_report(await new_database(postgres))
        await superuser.execute(f"GRANT {ROLE} TO {user} WITH ADMIN OPTION")
    await superuser.execute(f'ALTER DATABASE "{urlsplit(dsn).path[1:]}" OWNER TO {user}')
    await superuser.close()

    await migrate_all(as_user(dsn, user))
    await grant_report(as_user(dsn, user))

    if right == "CREATEROLE":
        await grant_report(as_user(dsn, user), PASSWORD)
        return
    with pytest.raises(RoleError, match="give this user CREATEROLE"):
        await grant_report(as_user(dsn, user), PASSWORD)
