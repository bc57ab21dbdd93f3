"""The role of each service may do what is declared in its own schema, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.detector import control
from services.detector.settings import DetectorSettings
from services.tickets.access.audit import AuditEvent, first_fault
from services.tickets.store import audit
from shared.postgres.canary_tables import copies_of, front
from shared.postgres.cluster_roles import RoleError, role_of
from shared.postgres.migrate import SERVICES as MIGRATED
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import open_pool
from shared.postgres.report import ROLE
from shared.postgres.roles import SCHEMAS, grant_roles, rights_of
from shared.runtime.addresses import dsn_of_user
from tests.support.databases import PASSWORD, PASSWORDS, as_service, migrated_database, new_database
from tests.support.problems import POLICY

SERVICES = sorted(SCHEMAS)
CANARY_RIGHTS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
# Of all tables, views and sequences that are not the server's own.
_HELD = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, array(
    SELECT given FROM unnest($2::text[]) AS given WHERE has_table_privilege($1, c.oid, given)) AS rights
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)'
"""
_COLUMNS = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)' AND n.nspname <> ALL($2)
    AND has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
"""
_SEQUENCES = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE CASE c.relkind WHEN 'S' THEN has_sequence_privilege($1, c.oid, 'USAGE, SELECT, UPDATE') END
"""
_SCHEMAS_OF = """
SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' AND has_schema_privilege($1, oid, $2)
"""
_DEFINERS = """
SELECT p.oid::regprocedure::text AS name, array(SELECT r FROM unnest($1::text[]) AS r
    WHERE has_function_privilege(r, p.oid, 'EXECUTE') ORDER BY r) AS roles
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname !~ '^pg_'
"""
_ATTRIBUTES = """
SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1
"""
_MEMBER_OF = """
SELECT m.roleid::regrole::text FROM pg_auth_members m WHERE m.member = $1::regrole
"""


@pytest.fixture(scope="module")
async def granted(postgres: str) -> str:
    """DSN of a database with all tables and roles, as its owner: one for all tests, which change nothing."""
    return await migrated_database(postgres)


@pytest.fixture
async def owner(granted: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(granted)
    yield connection
    await connection.close()


async def held(connection: asyncpg.Connection, service: str) -> dict[tuple[str, str], set[str]]:
    """What the role holds on each table and view, by schema and name."""
    rows = await connection.fetch(_HELD, role_of(service), TABLE_RIGHTS)
    return {(row["schema"], row["name"]): set(row["rights"]) for row in rows}


def of_canary(service: str) -> tuple[str, ...]:
    """The tables that the canary has for itself beside a service's."""
    copies = copies_of(MIGRATED[SCHEMAS[service]])
    return copies.tables if copies else ()


def schemas_of(service: str) -> list[str]:
    return [SCHEMAS[service], *([front(SCHEMAS[service])] if of_canary(service) else [])]


async def differences(connection: asyncpg.Connection) -> set[tuple[str, str, str]]:
    """(service, schema, table) wherever the rights that are held are not those that are declared."""
    found = set()
    for service in SERVICES:
        held_now = await held(connection, service)
        declared = {(SCHEMAS[service], table): {"SELECT", *given} for table, given in rights_of(service).tables.items()}
        declared |= {(front(SCHEMAS[service]), table): CANARY_RIGHTS for table in of_canary(service)}
        for schema, table in held_now.keys() | declared.keys():
            wanted = declared.get((schema, table), None if schema in schemas_of(service) else set())
            if held_now.get((schema, table)) != wanted:
                found.add((service, schema, table))
    return found


async def test_every_role_holds_on_every_table_what_is_declared(owner: asyncpg.Connection) -> None:
    assert await differences(owner) == set()
    # So that the comparison is one of something.
    assert len(await held(owner, "detector")) > 90


async def test_a_new_table_has_to_be_declared(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE notices.forgotten (id int); CREATE TABLE public.stray (id int)")
    await connection.execute("GRANT SELECT ON public.stray TO PUBLIC")

    expected = {("notifier", "notices", "forgotten"), *((service, "public", "stray") for service in SERVICES)}
    assert await differences(connection) == expected
    await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_role_holds_nothing_elsewhere(owner: asyncpg.Connection, service: str) -> None:
    role, schemas = role_of(service), schemas_of(service)

    assert {row["nspname"] for row in await owner.fetch(_SCHEMAS_OF, role, "USAGE")} == {*schemas, "public"}
    assert await owner.fetch(_SCHEMAS_OF, role, "CREATE") == []
    assert await owner.fetch(_COLUMNS, role, schemas) == []
    assert await owner.fetch(_SEQUENCES, role) == []
    assert not await owner.fetchval("SELECT has_database_privilege($1, current_database(), 'CREATE')", role)
    assert not await owner.fetchval(_ATTRIBUTES, role)
    assert await owner.fetch(_MEMBER_OF, role) == []


async def test_only_the_tickets_role_runs_the_one_function_with_the_rights_of_the_owner(
    owner: asyncpg.Connection,
) -> None:
    roles = [*(role_of(service) for service in SERVICES), ROLE]
    await owner.execute(f"DO $$ BEGIN CREATE ROLE {ROLE}; EXCEPTION WHEN OTHERS THEN NULL; END $$")
    found = {row["name"]: row["roles"] for row in await owner.fetch(_DEFINERS, roles)}

    assert found == {"tickets.forget_audit(timestamp with time zone)": ["andon_tickets"]}


ATTACKS = [
    "SELECT * FROM {foreign}.schema_migrations",
    "INSERT INTO {foreign}.outbox (topic, key, value) VALUES ('t', '', '')",
    "DELETE FROM {foreign}.outbox",
    "TRUNCATE {foreign}.position",
    "UPDATE {own}.schema_migrations SET digest = ''",
    "DELETE FROM {own}.position",
    "TRUNCATE {own}.outbox",
    "CREATE TABLE {own}.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION {own}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW report.mine AS SELECT 1",
    "CREATE TRIGGER mine BEFORE INSERT ON {own}.outbox EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON INSERT TO {own}.outbox DO INSTEAD NOTHING",
    "CREATE INDEX ON {own}.outbox (topic)",
    "ALTER TABLE {own}.outbox ADD COLUMN mine int",
    "ALTER TABLE {own}.outbox DISABLE TRIGGER ALL",
    "ALTER TABLE {own}.outbox OWNER TO {role}",
    "DROP TABLE {own}.outbox",
    "DROP SCHEMA {own} CASCADE",
    "COMMENT ON TABLE {own}.outbox IS 'mine'",
    "SET session_replication_role = replica",
    "SELECT set_config('session_replication_role', 'replica', false)",
    "SET ROLE {owner}",
    "SET ROLE {other}",
    "SET SESSION AUTHORIZATION {owner}",
    "GRANT {other} TO {role}",
    "ALTER ROLE {role} SUPERUSER",
    "ALTER ROLE {other} PASSWORD 'mine'",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY {own}.outbox TO '/tmp/outbox'",
    "SELECT lo_import('/etc/passwd')",
    "ALTER SYSTEM SET fsync = off",
]


@pytest.mark.parametrize("service", SERVICES)
async def test_the_attack_of_a_service_that_was_broken_into(granted: str, service: str) -> None:
    """Each statement is refused for lack of a right, and for nothing else."""
    other = SERVICES[SERVICES.index(service) - 1]
    names = {"own": SCHEMAS[service], "role": role_of(service), "other": role_of(other)}
    names |= {"owner": urlsplit(granted).username or "", "foreign": SCHEMAS[other]}
    connection = await asyncpg.connect(as_service(granted, service))
    taken = []
    for attack in ATTACKS:
        try:
            await connection.execute(attack.format(**names))
            taken.append(attack)
        except asyncpg.InsufficientPrivilegeError:
            pass
    await connection.close()

    assert taken == []


@pytest.mark.parametrize("service", SERVICES)
async def test_no_table_of_another_schema_can_be_read(granted: str, owner: asyncpg.Connection, service: str) -> None:
    connection = await asyncpg.connect(as_service(granted, service))
    for schema, table in await held(owner, service):
        if schema in schemas_of(service):
            await connection.execute(f"SELECT FROM {schema}.{table}")
            continue
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SELECT FROM {schema}.{table}")
    await connection.close()


@pytest.mark.parametrize("table", ["sealed_plan", "audit"])
async def test_the_tickets_role_can_only_add_to_what_is_kept_for_good(granted: str, table: str) -> None:
    connection = await asyncpg.connect(as_service(granted, "tickets"), server_settings={"search_path": "tickets"})
    await connection.execute("SET andon.audit_retention = 'on'")
    for attack in (
        f"UPDATE {table} SET hash = hash",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"TRUNCATE {table} CASCADE",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"DROP TRIGGER {table}_row ON {table}",
        f"SELECT FROM {table} FOR UPDATE",
        f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
        "CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f"MERGE INTO {table} USING (VALUES (1)) AS v (n) ON true WHEN MATCHED THEN DELETE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(attack)
    await connection.close()


async def test_the_tickets_role_forgets_old_rows_of_the_audit_log_and_no_others(dsn: str) -> None:
    pool, now = await open_pool(as_service(dsn, "tickets"), "tickets", max_size=1), datetime.now(UTC)
    for days in (500, 399, 31, 29, 0):
        await audit.note(pool, now - timedelta(days=days), AuditEvent.SIGNED_OUT, days)
    await audit.forget(pool, now - timedelta(days=400))
    async with pool.acquire() as connection:
        assert [row.account async for row in audit.rows(connection)] == [399, 31, 29, 0]
        # A table of the same name in front of it is not taken for it.
        await connection.execute("CREATE TEMP TABLE audit (LIKE tickets.audit)")
        await connection.execute("SELECT tickets.forget_audit($1)", now + timedelta(days=9))
        await connection.execute("DROP TABLE pg_temp.audit")
        rows = [row async for row in audit.rows(connection)]
    await pool.close()

    assert [row.account for row in rows] == [29, 0]
    assert first_fault(rows) is None


async def test_the_detectors_role_can_rebuild_everything(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    environment = {"ANDON_POSTGRES": as_service(dsn, "detector"), "ANDON_POLICY": str(tmp_path / "policy.yaml")}
    settings = DetectorSettings.from_environment(environment)

    await control.hold(settings)

    # Nothing was read yet, so that the detector evaluates by itself.
    assert await control.reevaluate(settings, 0, lambda done, total: None) is None


async def test_rights_that_are_no_longer_declared_are_taken_back(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA tickets TO andon_tickets")
    await connection.execute("GRANT CREATE ON SCHEMA tickets TO andon_tickets")
    assert await differences(connection) != set()

    await asyncio.gather(*(grant_roles(dsn, {}) for _ in range(3)))

    assert await differences(connection) == set()
    assert await connection.fetch(_SCHEMAS_OF, "andon_tickets", "CREATE") == []
    await connection.close()


async def test_many_databases_at_once(postgres: str) -> None:
    databases = [await new_database(postgres) for _ in range(3)]
    await asyncio.gather(*(migrate_all(dsn) for dsn in databases))

    await asyncio.gather(*(grant_roles(dsn, PASSWORDS) for dsn in databases * 2))


@pytest.fixture
async def plain_owner(postgres: str) -> AsyncIterator[Callable[[bool], asyncio.Future[str]]]:
    """Makes an empty database, and its owner, who is no superuser; with or without a say over the roles."""
    made: list[tuple[str, str]] = []

    async def make(may_change_roles: bool) -> str:
        dsn, user = await new_database(postgres), f"u{secrets.token_hex(4)}"
        database = urlsplit(dsn).path[1:]
        await grant_roles(await migrated_database(postgres), {})
        superuser = await asyncpg.connect(dsn)
        await superuser.execute(f"CREATE ROLE {user} LOGIN NOSUPERUSER PASSWORD 'p'")
        await superuser.execute(f'ALTER DATABASE "{database}" OWNER TO {user}')
        await superuser.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
        await superuser.execute(f'GRANT CONNECT ON DATABASE "{database}" TO PUBLIC')
        if may_change_roles:
            await superuser.execute(f"ALTER ROLE {user} CREATEROLE")
            for service in SERVICES:
                await superuser.execute(
                    f"GRANT {role_of(service)} TO {user} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE"
                )
        await superuser.close()
        made.append((dsn, user))
        return dsn_of_user(dsn, user, "p")

    yield lambda may: asyncio.ensure_future(make(may))
    for dsn, user in made:
        superuser = await asyncpg.connect(dsn)
        await superuser.execute(f"REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}")
        await superuser.close()


async def test_the_owner_needs_no_superuser(plain_owner: Callable[[bool], asyncio.Future[str]]) -> None:
    dsn = await plain_owner(True)
    await migrate_all(dsn)
    await grant_roles(dsn, PASSWORDS)

    connection = await asyncpg.connect(dsn_of_user(dsn, "andon_detector", PASSWORD))
    # Of the database, only the detector's role may make temporary tables.
    await connection.execute("CREATE TEMP TABLE mine (id int)")
    await connection.close()
    connection = await asyncpg.connect(dsn_of_user(dsn, "andon_tickets", PASSWORD))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TEMP TABLE mine (id int)")
    await connection.close()


async def test_an_owner_who_may_not_change_roles_learns_the_way_out(
    plain_owner: Callable[[bool], asyncio.Future[str]],
) -> None:
    dsn = await plain_owner(False)
    await migrate_all(dsn)
    # Rights on its own tables it may give.
    await grant_roles(dsn, {})

    with pytest.raises(RoleError, match=r"role andon_analyst not made or changed: .*; give this user CREATEROLE"):
        await grant_roles(dsn, {"analyst": PASSWORD})
