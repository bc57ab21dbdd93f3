"""Databases of tests: each has a name of its own, so that workers and runs share a server without meeting."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

import asyncpg


async def new_database(postgres: str) -> str:
    """DSN of a fresh, empty database on the server of `postgres`."""
    name = f"t{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    return urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
