"""Services with nothing to do leave the database alone: what happens is told by notifications, not asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from shared.postgres.migrate import migrate_all
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

SERVICES = ("intake", "detector", "enricher", "tickets", "notifier")
SECONDS, PER_SECOND = 10, 10
POLICY = {
    "version": 1,
    "pipelines": {
        "sales": {
            "name": "Sales",
            "owner": {"name": "Head of sales", "mail": "sales@andon.example"},
            "stages": [{"id": "lead"}],
            "rules": [
                {"kind": "wip-high", "stage": "lead", "max": 1},
                {"kind": "aging", "stage": "lead", "limit": "7d"},
            ],
        }
    },
}
SOURCES = {"sources": {"crm": {"kind": "hubspot", "secrets": ["a-secret"], "public_url": "https://hooks.example.org"}}}
TRANSACTIONS = """
SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1
"""


@pytest.fixture
async def database(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[str]:
    """Name of the database of all services, which are ready."""
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    (tmp_path / "sources.yaml").write_text(json.dumps(SOURCES))
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_POLICY": str(tmp_path / "policy.yaml"),
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
    }
    await migrate_all(dsn)
    services = [ServiceProcess(name, environment, tmp_path).start() for name in SERVICES]
    try:
        for service in services:
            service.ready()
        yield dsn.rpartition("/")[2]
    finally:
        for service in services:
            service.stop()


async def test_idle_services_make_few_transactions(database: str, postgres: str) -> None:
    connection = await asyncpg.connect(postgres)

    async def during(seconds: float) -> int:
        before = await connection.fetchval(TRANSACTIONS, database)
        await asyncio.sleep(seconds)
        return int(await connection.fetchval(TRANSACTIONS, database) - before)

    try:
        # Catching up after the start is not idling, and now and then a window holds work of minutes or of Postgres
        # itself: the quietest of several windows decides, so this bounds the usual load, not its peaks.
        await eventually(lambda: during(SECONDS), lambda count: count <= SECONDS * PER_SECOND, within=60)
    finally:
        await connection.close()
