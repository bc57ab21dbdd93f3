"""Databases of tests: each has a name of its own, so that workers and runs share a server without meeting.

What this process made and did not drop is dropped at the end of its session.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.postgres.canary_tables import copies_of
from shared.postgres.cluster_roles import role_of
from shared.postgres.migrate import SERVICES, migrate_all, migrations_of
from shared.postgres.roles import SCHEMAS, grant_roles, rights_of
from shared.runtime.addresses import dsn_of_user

PASSWORD = "a 'quoted' \\ password"
"""Of the role of each service. One for all tests: roles belong to the whole server."""
PASSWORDS = dict.fromkeys(SCHEMAS, PASSWORD)
_made: set[str] = set()
_with_template: set[str] = set()
"""DSNs of the servers on which this process has seen the template."""


async def new_database(postgres: str, template: str = "template1") -> str:
    """DSN of a fresh copy of a database on the server of `postgres`; an empty one if no template is named."""
    name = f"t{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    # Files are copied at a third less of the time than pages through the log, as a database is small.
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    await connection.close()
    _made.add(name)
    return urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))


async def migrated_database(postgres: str) -> str:
    """DSN of a fresh database with the tables of all services: a copy, which takes a fifth of the time of migrating."""
    return await new_database(postgres, await _template(postgres))


def as_service(dsn: str, service: str) -> str:
    """The DSN with which a service signs in to a migrated database; as it is for one without a schema."""
    return dsn_of_user(dsn, role_of(service), PASSWORD) if service in SCHEMAS else dsn


async def drop_database(postgres: str, dsn: str) -> None:
    """Drop a database, also while something is connected to it."""
    await _drop(postgres, [urlsplit(dsn).path[1:]])


async def drop_databases(postgres: str) -> None:
    """Drop all databases that this process made and has not dropped yet."""
    await _drop(postgres, list(_made))


async def _drop(postgres: str, names: list[str]) -> None:
    connection = await asyncpg.connect(postgres)
    try:
        for name in names:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            _made.discard(name)
    finally:
        await connection.close()


@cache
def _template_name() -> str:
    """Other migrations or rights give another name."""
    digests = [migration.digest for package in SERVICES.values() for migration in migrations_of(package)]
    digests += [str(rights_of(service)) for service in SCHEMAS]
    digests += [str(copies_of(package)) for package in SERVICES.values()]
    return f"migrated-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}"


async def _template(postgres: str) -> str:
    """The name of a database with all tables, which the first who asks makes."""
    name = _template_name()
    if postgres in _with_template:
        return name
    connection = await asyncpg.connect(postgres)
    try:
        # Closing the connection unlocks.
        await connection.execute("SELECT pg_advisory_lock(hashtext('template of tests'))")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            made = await new_database(postgres)
            await migrate_all(made)
            await grant_roles(made, PASSWORDS)
            await connection.execute(f'ALTER DATABASE "{urlsplit(made).path[1:]}" RENAME TO "{name}"')
            _made.discard(urlsplit(made).path[1:])
    finally:
        await connection.close()
    _with_template.add(postgres)
    return name
