"""Whether a service's tables are of its version, asked at its start: a reboot starts services without a migration."""

from __future__ import annotations

import asyncpg

from shared.postgres.migrate import SchemaState, schema_state
from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever
from shared.runtime.service import CannotStart

_log = logger(__name__)
WAY_OUT = "run andon migrate as the owner of the database (in Compose: docker compose run --rm setup)"


async def check_schema(pool: Pool, schema: str) -> None:
    """Raises CannotStart where the schema lacks a migration. Waits while the database is unavailable.

    A schema that a newer version has migrated is only logged: during an update replicas of both versions run.
    """
    async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
        with attempt:
            async with pool.acquire() as connection:
                state = await _state(connection, schema)
    if fault := fault_of(schema, state):
        raise CannotStart(fault)
    if state.unknown:
        _log.warning("the schema is newer than this version: update it soon", schema=schema, unknown=state.unknown)


async def _state(connection: Connection, schema: str) -> SchemaState:
    try:
        return await schema_state(connection, schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise CannotStart(f"schema {schema}: {error}; {WAY_OUT}") from None


def fault_of(schema: str, state: SchemaState) -> str | None:
    """What is missing, and the command that makes it; None: nothing is."""
    if not state.missing:
        return None
    what = f"lacks {', '.join(state.missing)}" if state.newest else "has no tables of Andon"
    return f"schema {schema} {what}; {WAY_OUT}"
