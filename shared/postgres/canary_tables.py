"""The tables that the canary has for itself: copies of a service's own, empty, in a schema that stands in front of it.

Inside `aside` the same SQL meets these copies; of tables that have none, which the canary shares, it meets the
service's own. All else meets the service's own tables only: no page, measure, count or view can show the canary.
`migrations/canary.yaml` of a service lists the copies; `andon migrate` makes them anew whenever the tables change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

import asyncpg

from shared.postgres import locks
from shared.postgres.pool import TRANSIENT, Connection, Executor, Pool, Record
from shared.runtime.log import logger
from shared.runtime.service import every
from shared.runtime.yaml_file import read_yaml

AnyConnection: TypeAlias = "asyncpg.Connection[Record]"
_log = logger(__name__)
_LOCK = "canary"
_EXIST = "SELECT tablename FROM pg_tables WHERE schemaname = $1"
_ROLE_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
_MAY_USE = """
SELECT CASE WHEN to_regnamespace($1) IS NULL THEN false ELSE has_schema_privilege($1, 'USAGE') END
"""
# A run takes a minute; what is older than an hour is of no use to anybody.
EMPTY_SECONDS = 3600.0
# How long a run waits for an emptying, which takes milliseconds.
SHARE_SECONDS, SHARE_ATTEMPTS = 0.05, 20


class CopiesUnavailable(Exception):
    """The canary cannot be handled now."""


@dataclass(frozen=True)
class CanaryCopies:
    """`tables`: those that the canary has for itself. `seeded`: those of them that have one row from the start.

    `first_numbers`: where the numbers of a table begin, so that they are not those of real rows. `busy`: a condition in
    SQL, true while a run is under way.
    """

    tables: tuple[str, ...]
    seeded: tuple[str, ...]
    first_numbers: dict[str, int]
    busy: str


def front(schema: str) -> str:
    """The schema that stands in front of a service's."""
    return f"{schema}_canary"


def copies_of(package: str) -> CanaryCopies | None:
    """What `migrations/canary.yaml` of a service declares; None: the canary leaves nothing there."""
    file = resources.files(package) / "migrations" / "canary.yaml"
    if not file.is_file():
        return None
    _, declared = read_yaml(file.read_text(encoding="utf-8"))
    numbers = {table: int(number) for table, number in (declared.get("first_numbers") or {}).items()}
    seeded = tuple(declared.get("seeded") or ())
    return CanaryCopies((*declared["tables"], *seeded), seeded, numbers, declared["busy"])


def grants(schema: str, role: str, copies: CanaryCopies) -> Iterator[str]:
    """What lets a service's role do everything but change the tables themselves: nothing in them is kept."""
    name = front(schema)
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {name} FROM {role}"
    yield f"REVOKE ALL ON SCHEMA {name} FROM {role}"
    yield f"GRANT USAGE ON SCHEMA {name} TO {role}"
    for table in copies.tables:
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.{table} TO {role}"


async def make_copies(
    connection: AnyConnection, schema: str, role: str, copies: CanaryCopies, is_changed: bool
) -> None:
    """Make the copies; anew, without their rows, where the tables that they are of may have changed.

    `role`: the service's, which may use them at once where it exists: services run meanwhile.
    """
    found = {row["tablename"] for row in await connection.fetch(_EXIST, front(schema))}
    if found == set(copies.tables) and not is_changed:
        return
    name = front(schema)
    async with connection.transaction():
        await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
        for table in copies.tables:
            await connection.execute(f"CREATE TABLE {name}.{table} (LIKE {schema}.{table} INCLUDING ALL)")
        for table in copies.seeded:
            await connection.execute(f"INSERT INTO {name}.{table} DEFAULT VALUES")
        for table, first in copies.first_numbers.items():
            await connection.execute(f"ALTER TABLE {name}.{table} ALTER COLUMN id RESTART WITH {first}")
        if await connection.fetchval(_ROLE_EXISTS, role):
            await connection.execute(";".join(grants(schema, role, copies)))


async def are_there(executor: Executor | AnyConnection, schema: str) -> bool:
    """Whether the copies are there, whoever may use them."""
    return bool(await executor.fetchval("SELECT to_regnamespace($1) IS NOT NULL", front(schema)))


async def are_usable(executor: Executor | AnyConnection, schema: str) -> bool:
    """Whether the copies are there, and may be used. Else the canary's rows would go into the service's own tables."""
    return bool(await executor.fetchval(_MAY_USE, front(schema)))


@asynccontextmanager
async def aside(connection: Connection, schema: str) -> AsyncIterator[None]:
    """Within a transaction on `schema`: statements meet the copies. All is undone where the block raises.

    Raises CopiesUnavailable within a second: nothing real may wait for the canary for long.
    """
    async with connection.transaction():
        if not await are_usable(connection, schema):
            raise CopiesUnavailable(f"schema {front(schema)} is missing; run: andon migrate")
        await _share(connection)
        await connection.execute(f"SET LOCAL search_path TO {front(schema)}, {schema}, public")
        yield
        await connection.execute(f"SET LOCAL search_path TO {schema}, public")


async def _share(connection: Connection) -> None:
    """Keep others from emptying the copies until the end of the transaction."""
    for _ in range(SHARE_ATTEMPTS):
        if await locks.try_share(connection, _LOCK):
            return
        await asyncio.sleep(SHARE_SECONDS)
    raise CopiesUnavailable("its tables are being emptied")


class CanaryEmptying:
    """One loop of a service: empties the copies each hour while no run is under way, so that they do not grow.

    Any number of replicas may run it.
    """

    def __init__(self, pool: Pool, schema: str, package: str) -> None:
        copies = copies_of(package)
        if copies is None:
            raise ValueError(f"{package} has no migrations/canary.yaml")
        self._pool, self._schema, self._copies = pool, schema, copies

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        await every(EMPTY_SECONDS, self._look)

    async def _look(self) -> None:
        try:
            await self.once()
        except TRANSIENT as error:
            _log.warning("the canary's tables are not emptied: database unavailable", error=repr(error))

    async def once(self) -> bool:
        """Empty them; False where a run is under way, or there are none."""
        if not await are_usable(self._pool, self._schema):
            return False
        async with self._pool.acquire() as connection, connection.transaction():
            if not await locks.try_lock(connection, _LOCK):
                return False
            if await connection.fetchval(f"SELECT {self._copies.busy}"):
                return False
            for table in self._copies.tables:
                if table not in self._copies.seeded:
                    await connection.execute(f"DELETE FROM {front(self._schema)}.{table}")
        return True
