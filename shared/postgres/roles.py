"""One role for each service: it reads and writes its own schema, as the service's rights.yaml says, and nothing else.

The owner of the schemas, who runs the migrations, is another user. So a service that was broken into can change neither
tables nor triggers, and no data of other services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

import asyncpg

from shared.postgres import cluster_roles, locks
from shared.postgres.canary_tables import are_there, copies_of, grants
from shared.postgres.cluster_roles import role_of
from shared.postgres.locks import AnyConnection
from shared.postgres.migrate import SERVICES
from shared.postgres.pool import connect
from shared.runtime.yaml_file import read_yaml

SCHEMAS = {package.rpartition(".")[2]: schema for schema, package in SERVICES.items()}
"""The schema of each service that has one."""
_MAY_MAKE_TEMPORARY = "SELECT has_database_privilege($1, current_database(), 'TEMPORARY')"

_ROLE_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
_MISSING = """
SELECT w.name, w.needed FROM unnest($2::text[], $3::text[]) AS w (name, needed)
WHERE NOT has_table_privilege($1::name, to_regclass(w.name)::oid, w.needed)
"""


@dataclass(frozen=True)
class ServiceRights:
    """What a service may do in its schema. `tables`: rights beside SELECT, by table; `functions`: with argument types.

    `temporary`: whether it may make temporary tables.
    """

    tables: Mapping[str, tuple[str, ...]]
    functions: tuple[str, ...]
    temporary: bool


def rights_of(service: str) -> ServiceRights:
    """What rights.yaml beside the migrations declares, of the tables of every service and of its own."""
    tables: dict[str, tuple[str, ...]] = {}
    functions: tuple[str, ...] = ()
    temporary = False
    for owner in ("shared.postgres", SERVICES[SCHEMAS[service]]):
        file = resources.files(owner) / "migrations" / "rights.yaml"
        _, declared = read_yaml(file.read_text(encoding="utf-8"))
        tables |= {table: tuple((rights or "").split()) for table, rights in declared["tables"].items()}
        functions += tuple(declared.get("functions", ()))
        temporary |= declared.get("temporary") == "true"
    return ServiceRights(tables, functions, temporary)


async def missing_rights(connection: AnyConnection, service: str) -> list[str] | None:
    """What the role of a service may not do of what it needs, as `INSERT on flow.visit`; None: there is no such role.

    Says nothing about tables that do not exist.
    """
    role, schema = role_of(service), SCHEMAS[service]
    if not await connection.fetchval(_ROLE_EXISTS, role):
        return None
    needed = [
        (f"{schema}.{table}", right)
        for table, given in sorted(rights_of(service).tables.items())
        for right in ("SELECT", *given)
    ]
    tables, rights = [table for table, _ in needed], [right for _, right in needed]
    return [f"{right} on {table}" for table, right in await connection.fetch(_MISSING, role, tables, rights)]


async def grant_roles(dsn: str, passwords: Mapping[str, str]) -> None:
    """Make the roles, and give each its rights and no others. Safe to run concurrently, and while services run.

    `passwords` by service: a role with one may sign in; others stay as they are. Raises RoleError where the user of
    `dsn` may not do that.
    """
    connection = await connect(dsn)
    try:
        await locks.session_lock(connection, "roles")
        for service in SCHEMAS:
            await _grant(connection, service, passwords.get(service))
    finally:
        await connection.close()


async def _grant(connection: AnyConnection, service: str, password: str | None) -> None:
    role, rights = role_of(service), rights_of(service)
    try:
        await cluster_roles.ensure(connection, role)
        async with connection.transaction():
            await connection.execute(";".join(_grants(SCHEMAS[service], role, rights)))
            copies = copies_of(SERVICES[SCHEMAS[service]])
            if copies is not None and await are_there(connection, SCHEMAS[service]):
                await connection.execute(";".join(grants(SCHEMAS[service], role, copies)))
        if rights.temporary and not await connection.fetchval(_MAY_MAKE_TEMPORARY, role):
            database = await connection.fetchval("SELECT quote_ident(current_database())")
            await connection.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {role}")
        if password:
            await cluster_roles.let_sign_in(connection, role, password)
    except asyncpg.InsufficientPrivilegeError as error:
        raise cluster_roles.not_made(role, error, "docs/operator/install.md") from None


def _grants(schema: str, role: str, rights: ServiceRights) -> Iterator[str]:
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}"
    yield f"REVOKE ALL ON ALL ROUTINES IN SCHEMA {schema} FROM {role}"
    yield f"REVOKE ALL ON SCHEMA {schema} FROM {role}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    for table, given in sorted(rights.tables.items()):
        yield f"GRANT {', '.join(('SELECT', *given))} ON {schema}.{table} TO {role}"
    for function in rights.functions:
        yield f"GRANT EXECUTE ON FUNCTION {schema}.{function} TO {role}"
