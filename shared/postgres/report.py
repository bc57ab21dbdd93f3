"""The role that may only read schema `report`: for Grafana, whose viewers write their own SQL, and for analysts."""

from __future__ import annotations

import asyncpg

from shared.postgres import cluster_roles, locks
from shared.postgres.pool import connect

ROLE = "andon_report"
_GRANT = f"""
CREATE SCHEMA IF NOT EXISTS report;
GRANT USAGE ON SCHEMA report TO {ROLE};
GRANT SELECT ON ALL TABLES IN SCHEMA report TO {ROLE};
"""
_LIMITS = f"""
ALTER ROLE {ROLE} CONNECTION LIMIT 10;
ALTER ROLE {ROLE} SET default_transaction_read_only = on;
ALTER ROLE {ROLE} SET statement_timeout = '15s';
"""


async def grant_report(dsn: str, password: str | None = None) -> None:
    """Make the role, and let it read the views. With `password` it may sign in. Safe to run concurrently.

    Raises RoleError where the user of `dsn` may not create roles and nobody has made this one.
    """
    connection = await connect(dsn)
    try:
        await locks.session_lock(connection, "report")
        await cluster_roles.ensure(connection, ROLE)
        await connection.execute(_GRANT)
        if password:
            await cluster_roles.change(connection, _LIMITS)
            await cluster_roles.let_sign_in(connection, ROLE, password)
    except asyncpg.InsufficientPrivilegeError as error:
        raise cluster_roles.not_made(ROLE, error, "docs/operator/sql-views.md") from None
    finally:
        await connection.close()
