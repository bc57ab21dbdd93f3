"""Tables of all services: read at one point in time, and written into empty ones."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TypeAlias

import asyncpg

from services.cli.backup.archive import BackupError, FileWriter, Manifest, StoredTable
from shared.postgres.migrate import SERVICES, migrate, migrate_all, migrations_of
from shared.postgres.pool import connect

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SCHEMAS = sorted(SERVICES)
_MIGRATIONS = "schema_migrations"
_CHUNK = 1 << 20
# Generated columns are computed again.
_COLUMNS = """
SELECT n.nspname AS schema, c.relname AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE n.nspname = ANY($1) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY 1, 2 ORDER BY 1, 2
"""
_SEQUENCES = "SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname = ANY($1) ORDER BY 1, 2"
_REFERENCES = """
SELECT n.nspname || '.' || c.relname AS from, m.nspname || '.' || d.relname AS to
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_class AS d ON d.oid = k.confrelid JOIN pg_namespace AS m ON m.oid = d.relnamespace
WHERE k.contype = 'f' AND n.nspname = ANY($1) AND c.oid <> d.oid
"""
_TRIGGERS = """
SELECT format('%I.%I', n.nspname, c.relname) AS table, quote_ident(t.tgname) AS name, t.tgenabled = 'A' AS always
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY($1) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
"""
_CONNECTED = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename <> 'andon_report'
    AND (application_name ~ '^andon-' OR usename ~ '^andon_')
"""
_SEEDS = re.compile(r"INSERT INTO (\w+) DEFAULT VALUES")


@asynccontextmanager
async def snapshot(dsn: str) -> AsyncIterator[Connection]:
    """A connection that sees the database as it is now, whatever is committed later."""
    connection = await connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The first statement fixes the point in time.
            await connection.fetchval("SELECT count(*) FROM flow.position")
            yield connection
    finally:
        await connection.close()


async def migrations(connection: Connection) -> dict[str, dict[str, str]]:
    """Digest by name of the applied migrations of each schema that is there."""
    found: dict[str, dict[str, str]] = {}
    for schema in SCHEMAS:
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.{_MIGRATIONS}"):
            rows = await connection.fetch(f"SELECT name, digest FROM {schema}.{_MIGRATIONS} ORDER BY name")
            found[schema] = dict(map(tuple, rows))
    return found


async def sequences(connection: Connection) -> dict[str, tuple[int, bool]]:
    """Where each sequence stands: never behind what the snapshot has seen."""
    found = {}
    for row in await connection.fetch(_SEQUENCES, SCHEMAS):
        name = '"{}"."{}"'.format(*row)
        (standing,) = await connection.fetch(f"SELECT last_value, is_called FROM {name}")
        found[name] = standing["last_value"], standing["is_called"]
    return found


async def save(connection: Connection, folder: Path, done: Callable[[int, int | None], None]) -> list[StoredTable]:
    """Write all tables as the snapshot sees them."""
    listed = [row for row in await connection.fetch(_COLUMNS, SCHEMAS) if row["table"] != _MIGRATIONS]
    stored = []
    for number, row in enumerate(listed, 1):
        schema, table, columns = row["schema"], row["table"], row["columns"]
        writer = FileWriter(folder, f"postgres/{schema}.{table}.gz")
        status = await connection.copy_from_table(table, schema_name=schema, columns=columns, output=writer.take)
        rows = int(status.rpartition(" ")[2])
        stored.append(
            StoredTable(
                path=writer.path,
                sha256=writer.finish(),
                schema_name=schema,
                table=table,
                columns=columns,
                rows=rows,
            )
        )
        done(number, len(listed))
    return stored


async def check_stopped(connection: Connection) -> None:
    """Raises BackupError while a service is connected: it would go on from what it remembers."""
    if connected := await connection.fetch(_CONNECTED):
        names = ", ".join(sorted(row[0] for row in connected))
        raise BackupError(f"services are connected to Postgres ({names}); stop all services, then restore")


async def check_empty(dsn: str, manifest: Manifest) -> None:
    """Raises BackupError where the tables are of another version than the backup's, or hold anything."""
    connection = await connect(dsn)
    try:
        await check_stopped(connection)
        present = await migrations(connection)
        _check_version(manifest)
        for schema, applied in present.items():
            if applied != manifest.migrations.get(schema):
                raise BackupError(
                    f"schema {schema} has tables of another version than the backup's; restore into a database without"
                    " them, which are then made and brought up to date"
                )
        if filled := await _filled(connection, present):
            raise BackupError(
                f"the database is not empty ({', '.join(filled[:5])}); restore into an empty one: name it in"
                " ANDON_POSTGRES"
            )
    finally:
        await connection.close()


def _check_version(manifest: Manifest) -> None:
    for schema, applied in manifest.migrations.items():
        known = {m.name: m.digest for m in migrations_of(SERVICES[schema])} if schema in SERVICES else {}
        if not applied.items() <= known.items():
            raise BackupError(
                f"the backup was made by Andon {manifest.version}, whose tables in schema {schema} this version does"
                " not know; use that version or a newer one"
            )


async def _filled(connection: Connection, present: Iterable[str]) -> list[str]:
    """Tables that hold what no migration wrote."""
    found = []
    for row in await connection.fetch(_COLUMNS, sorted(present)):
        name = f"{row['schema']}.{row['table']}"
        if row["table"] in (_MIGRATIONS, *_seeded(row["schema"])):
            continue
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})"):
            found.append(name)
    return found


def _seeded(schema: str) -> set[str]:
    """Tables with a row from the start."""
    return {name for m in migrations_of(SERVICES[schema]) for name in _SEEDS.findall(m.sql)}


async def make_tables(dsn: str, manifest: Manifest) -> None:
    """Create the tables as they were when the backup was made."""
    for schema, applied in manifest.migrations.items():
        await migrate(dsn, schema, [m for m in migrations_of(SERVICES[schema]) if m.name in applied])


async def update_tables(dsn: str) -> None:
    """Bring the restored tables up to this version."""
    await migrate_all(dsn)


async def load(
    connection: Connection, folder: Path, manifest: Manifest, done: Callable[[int, int | None], None]
) -> None:
    """Fill the empty tables; call it in a transaction."""
    triggers = await connection.fetch(_TRIGGERS, SCHEMAS)
    for table in {row["table"] for row in triggers}:
        # They would change rows, or refuse them: the rows have passed them once.
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for number, table in enumerate(await _in_order(connection, manifest.tables), 1):
        await _fill(connection, folder, table)
        done(number, len(manifest.tables))
    for row in triggers:
        how = "ENABLE ALWAYS" if row["always"] else "ENABLE"
        await connection.execute(f"ALTER TABLE {row['table']} {how} TRIGGER {row['name']}")
    for name, (value, called) in manifest.sequences.items():
        await connection.execute("SELECT setval($1::text::regclass, $2, $3)", name, value, called)


async def _in_order(connection: Connection, tables: list[StoredTable]) -> list[StoredTable]:
    """Each table after those that it refers to."""
    by_name = {f"{table.schema_name}.{table.table}": table for table in tables}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(by_name, ()))
    for row in await connection.fetch(_REFERENCES, SCHEMAS):
        order.add(row["from"], row["to"])
    return [by_name[name] for name in order.static_order()]


async def _fill(connection: Connection, folder: Path, table: StoredTable) -> None:
    name = f'"{table.schema_name}"."{table.table}"'
    if table.table in _seeded(table.schema_name):
        await connection.execute(f"DELETE FROM {name}")
    status = await connection.copy_to_table(
        table.table, schema_name=table.schema_name, columns=table.columns, source=_unzipped(folder / table.path)
    )
    if status != f"COPY {table.rows}":
        raise BackupError(f"{table.path}: {status} instead of {table.rows} rows; nothing was restored")


async def _unzipped(path: Path) -> AsyncIterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
