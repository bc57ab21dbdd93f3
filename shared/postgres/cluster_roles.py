"""Roles that `andon migrate` makes. They belong to the whole cluster, not to one database."""

from __future__ import annotations

import asyncio

import asyncpg

from shared.postgres.locks import AnyConnection

_CREATE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
_EXISTS = "SELECT FROM pg_roles WHERE rolname = $1"
# How often to try where the migration of another database changes the role at the same time.
_TRIES = 10


class RoleError(Exception):
    """The user of `andon migrate` may not make or change a role; says the way out."""


def role_of(service: str) -> str:
    """The role of a service, such as andon_detector."""
    return f"andon_{service}"


async def ensure(connection: AnyConnection, role: str) -> None:
    """Make the role where there is none. It cannot sign in yet."""
    if await connection.fetchrow(_EXISTS, role) is None:
        await connection.execute(_CREATE.format(role=role))


async def let_sign_in(connection: AnyConnection, role: str, password: str) -> None:
    """Set the password of the role, and let it sign in."""
    # ALTER ROLE takes no parameters; quote_literal makes the literal.
    literal = await connection.fetchval("SELECT quote_literal($1::text)", password)
    await change(connection, f"ALTER ROLE {role} LOGIN PASSWORD {literal}")


async def change(connection: AnyConnection, sql: str) -> None:
    """Run ALTER ROLE, again where another process changes the role at the same time."""
    for left in reversed(range(_TRIES)):
        try:
            await connection.execute(sql)
            return
        except asyncpg.InternalServerError:
            # "tuple concurrently updated": Postgres has no code of its own for it.
            if not left:
                raise
            await asyncio.sleep(0.1)


def not_made(role: str, error: asyncpg.InsufficientPrivilegeError, page: str) -> RoleError:
    """The error for people. `page`: the one of docs/operator that says what to do."""
    return RoleError(f"role {role} not made or changed: {error.args[0]}; give this user CREATEROLE, or see {page}")
