"""A service says at its start which migration its tables lack, and what to run."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from shared.postgres.pool import open_pool
from shared.postgres.schema_check import check_schema
from shared.runtime.service import CannotStart
from tests.support.databases import as_service
from tests.support.problems import POLICY
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

WAY_OUT = r"run andon migrate as the owner of the database \(in Compose: docker compose run --rm setup\)"


async def check(dsn: str, *changes: str) -> None:
    """Check the schema of tickets after these changes by its owner, as its service."""
    connection = await asyncpg.connect(dsn)
    for change in changes:
        await connection.execute(change)
    await connection.close()
    pool = await open_pool(as_service(dsn, "tickets"), "tickets", max_size=1)
    try:
        await check_schema(pool, "tickets")
    finally:
        await pool.close()


async def test_a_schema_of_this_version_or_a_newer_one_is_used(dsn: str) -> None:
    await check(dsn)
    await check(dsn, "INSERT INTO tickets.schema_migrations (name, digest) VALUES ('9999_later.sql', '')")


async def test_what_an_older_schema_lacks_is_named(dsn: str) -> None:
    with pytest.raises(CannotStart, match=rf"^schema tickets lacks 0002_access.sql; {WAY_OUT}$"):
        await check(dsn, "DELETE FROM tickets.schema_migrations WHERE name = '0002_access.sql'")


async def test_a_schema_that_the_service_may_not_read_is_named(dsn: str) -> None:
    with pytest.raises(CannotStart, match=rf"^schema tickets: permission denied .*; {WAY_OUT}$"):
        await check(dsn, "REVOKE ALL ON tickets.schema_migrations FROM andon_tickets")


async def test_a_service_without_its_tables_ends_with_what_to_run(empty_dsn: str, kafka: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    environment = {"ANDON_KAFKA": kafka, "ANDON_POSTGRES": empty_dsn, "ANDON_POLICY": str(tmp_path / "policy.yaml")}
    process = ServiceProcess("detector", environment, tmp_path).start()

    async def ended() -> int | None:
        return process.exit_code()

    assert await eventually(ended, lambda code: code is not None) == 1
    assert "detector cannot start: schema flow has no tables of Andon; run andon migrate" in process.log.read_text()
