"""The role that may only read schema `report`: for Grafana, whose viewers write their own SQL, and for analysts."""

from __future__ import annotations

import asyncio

import asyncpg

from shared.postgres import locks
from shared.postgres.locks import AnyConnection
from shared.postgres.pool import connect

ROLE = "andon_report"
# Roles belong to the whole cluster: another database's migration may make the role at the same time.
_CREATE = f"""
DO $$ BEGIN
    CREATE ROLE {ROLE} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
_GRANT = f"""
CREATE SCHEMA IF NOT EXISTS report;
GRANT USAGE ON SCHEMA report TO {ROLE};
GRANT SELECT ON ALL TABLES IN SCHEMA report TO {ROLE};
"""
_LIMITS = f"""
ALTER ROLE {ROLE} CONNECTION LIMIT 20;
ALTER ROLE {ROLE} SET default_transaction_read_only = on;
ALTER ROLE {ROLE} SET statement_timeout = '30s';
"""
_EXISTS = "SELECT FROM pg_roles WHERE rolname = $1"
# How often to try where the migration of another database changes the role at the same time.
_TRIES = 10


class ReportRoleError(Exception):
    """The user of the services may not make the role."""


async def grant_report(dsn: str, password: str | None = None) -> None:
    """Make the role, and let it read the views. With `password` it may sign in. Safe to run concurrently.

    Raises ReportRoleError where the user of `dsn` may not create roles and nobody has made this one.
    """
    connection = await connect(dsn)
    try:
        await locks.session_lock(connection, "report")
        if await connection.fetchrow(_EXISTS, ROLE) is None:
            await connection.execute(_CREATE)
        await connection.execute(_GRANT)
        if password:
            # ALTER ROLE takes no parameters; quote_literal makes the literal.
            literal = await connection.fetchval("SELECT quote_literal($1::text)", password)
            await _change_role(connection, _LIMITS + f"ALTER ROLE {ROLE} LOGIN PASSWORD {literal}")
    except asyncpg.InsufficientPrivilegeError as error:
        raise ReportRoleError(
            f"role {ROLE} not made or changed: {error}; give this user CREATEROLE, or see docs/operator/sql-views.md"
        ) from None
    finally:
        await connection.close()


async def _change_role(connection: AnyConnection, sql: str) -> None:
    for left in reversed(range(_TRIES)):
        try:
            await connection.execute(sql)
            return
        except asyncpg.InternalServerError:
            # "tuple concurrently updated": Postgres has no code of its own for it.
            if not left:
                raise
            await asyncio.sleep(0.1)
