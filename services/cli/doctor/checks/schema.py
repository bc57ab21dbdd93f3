"""Whether the tables of each service are of this version."""

from __future__ import annotations

import asyncpg

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from shared.postgres.migrate import SERVICES, SchemaState, schema_state


async def _run(site: Site) -> list[CheckFinding]:
    connection = await asyncpg.connect(site.settings.dsn)
    try:
        return [await _schema(connection, schema) for schema in SERVICES]
    finally:
        connection.terminate()


async def _schema(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> CheckFinding:
    try:
        async with connection.transaction():
            return finding_of(schema, await schema_state(connection, schema))
    except asyncpg.InsufficientPrivilegeError:
        return look(f"schema {schema}", "its version may not be seen", "run this as the owner of the database")


def finding_of(schema: str, state: SchemaState) -> CheckFinding:
    """How the schema stands to this version of Andon."""
    subject = f"schema {schema}"
    if state.unknown:
        text = f"is newer than this version: it has {', '.join(state.unknown)}"
        return bad(subject, text, "run the version that migrated it, or a newer one")
    if state.missing:
        text = f"is older than this version: {', '.join(state.missing)} is missing"
        return bad(subject, text if state.newest else "has no tables of Andon", "run: andon migrate")
    if state.changed:
        text = f"{', '.join(state.changed)} was changed after it was applied"
        return bad(subject, text, "restore the file; a change is a new migration")
    return good(subject, f"at {state.newest}")


CHECK = Check("schema", _run, needs=("postgres",))
