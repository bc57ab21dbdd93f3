"""Migrations on a real Postgres."""

from __future__ import annotations

import asyncio

import pytest

from shared.postgres.migrate import Migration, MigrationError, migrate, migrations_of

SHARED_ONLY = [m for m in migrations_of("services.detector") if m in migrations_of("services.notifier")]


async def test_two_processes_may_migrate_at_once(empty_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_dsn, "flow", SHARED_ONLY) for _ in range(4)))

    assert sorted(map(len, applied)) == [0, 0, 0, len(SHARED_ONLY)]


async def test_a_file_changed_after_it_was_applied_is_refused(empty_dsn: str) -> None:
    await migrate(empty_dsn, "flow", SHARED_ONLY)

    with pytest.raises(MigrationError, match="was changed after"):
        await migrate(empty_dsn, "flow", [Migration(SHARED_ONLY[0].name, "SELECT 1")])
