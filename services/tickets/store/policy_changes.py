"""SQL of who saved which version of the policy, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.postgres.pool import Connection, Executor

_ADD = "INSERT INTO policy_change (version, at, why, account) VALUES ($1, $2, $3, $4)"
_LIST = """
SELECT v.version, v.effective_at, c.at, coalesce(c.why, '') AS why, coalesce(a.name, '') AS name
FROM policy_version AS v LEFT JOIN policy_change AS c USING (version) LEFT JOIN account AS a ON a.id = c.account
WHERE $1::int IS NULL OR v.version = $1 ORDER BY v.version DESC LIMIT 200
"""
_NOW = "SELECT clock_timestamp()"


class SavedVersion(NamedTuple):
    """One version, without its text. `name`: who saved it, empty where that is not known (any more).

    `at`, `why`: None and empty where the database was set back, and has the version from its topic.
    """

    version: int
    effective_at: datetime
    at: datetime | None
    why: str
    name: str


async def add(connection: Connection, version: int, at: datetime, why: str, account: int | None) -> None:
    """Note who saved a version."""
    await connection.execute(_ADD, version, at, why, account)


async def listed(executor: Executor) -> Sequence[SavedVersion]:
    """The newest 200 versions, the newest first."""
    return [SavedVersion(*row) for row in await executor.fetch(_LIST, None)]


async def get(executor: Executor, version: int) -> SavedVersion | None:
    """One version."""
    row = await executor.fetchrow(_LIST, version)
    return None if row is None else SavedVersion(*row)


async def database_now(executor: Executor) -> datetime:
    """The time by the clock that all replicas share."""
    now: datetime = await executor.fetchval(_NOW)
    return now
