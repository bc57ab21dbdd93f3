"""Migrations: numbered SQL files, applied once each, in order, by one process at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

import asyncpg

from shared.postgres import locks
from shared.postgres.canary_tables import copies_of, make_copies
from shared.postgres.cluster_roles import role_of
from shared.postgres.pool import connect

SERVICES = {
    "flow": "services.detector",
    "analysis": "services.analyst",
    "tickets": "services.tickets",
    "notices": "services.notifier",
    "crm": "services.enricher",
}


class MigrationError(Exception):
    """A migration file was changed after it had been applied."""


@dataclass(frozen=True)
class Migration:
    """One file. Its digest reveals a later change."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(package: str) -> list[Migration]:
    """The shared migrations, then those of the service, by name."""
    found = []
    for owner in ("shared.postgres", package):
        folder = resources.files(owner) / "migrations"
        files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
        found += [Migration(f.name, f.read_text(encoding="utf-8")) for f in files]
    return found


async def migrate(dsn: str, schema: str, migrations: list[Migration]) -> list[str]:
    """Bring one schema up to date, and return the names of applied migrations. Safe to run concurrently."""
    connection = await connect(dsn)
    try:
        await locks.session_lock(connection, "migrations")
        return [m.name for m in migrations if await _apply(connection, schema, m)]
    finally:
        await connection.close()


async def migrate_all(dsn: str) -> dict[str, list[str]]:
    """Bring every service's schema up to date, and the canary's tables beside it."""
    applied = {schema: await migrate(dsn, schema, migrations_of(package)) for schema, package in SERVICES.items()}
    connection = await connect(dsn)
    try:
        await locks.session_lock(connection, "migrations")
        for schema, package in SERVICES.items():
            if copies := copies_of(package):
                role = role_of(package.rpartition(".")[2])
                await make_copies(connection, schema, role, copies, is_changed=bool(applied[schema]))
    finally:
        await connection.close()
    return applied


@dataclass(frozen=True)
class SchemaState:
    """The newest migration of one schema (empty: none), and how it differs from this version.

    `missing`: not applied yet; `unknown`: applied by a newer version; `changed`: the file is not the one applied.
    """

    newest: str
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    changed: tuple[str, ...]


async def schema_state(connection: locks.AnyConnection, schema: str) -> SchemaState:
    """Compare a schema in the database with the migrations of this version."""
    known = {migration.name: migration.digest for migration in migrations_of(SERVICES[schema])}
    applied: dict[str, str] = {}
    if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_migrations"):
        rows = await connection.fetch(f"SELECT name, digest FROM {schema}.schema_migrations")
        applied = {row["name"]: row["digest"] for row in rows}
    return SchemaState(
        max(applied, default=""),
        tuple(sorted(known.keys() - applied.keys())),
        tuple(sorted(applied.keys() - known.keys())),
        tuple(sorted(name for name, digest in known.items() if applied.get(name, digest) != digest)),
    )


async def _apply(connection: asyncpg.Connection[asyncpg.Record], schema: str, migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(
            f'CREATE SCHEMA IF NOT EXISTS "{schema}"; SET LOCAL search_path TO "{schema}", public;'
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, digest text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
        )
        digest = await connection.fetchval("SELECT digest FROM schema_migrations WHERE name = $1", migration.name)
        if digest is None:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (name, digest) VALUES ($1, $2)",
                migration.name,
                migration.digest,
            )
        elif digest != migration.digest:
            raise MigrationError(
                f"{schema}/{migration.name} was changed after it was applied; restore it, and write a new migration"
            )
        return digest is None
