"""`andon upgrade` on a real Kafka and Postgres that an older version left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.support.problems import POLICY

NEWEST = "0003_traces.sql"
_GO_BACK = f"""
ALTER TABLE notices.mail DROP COLUMN traceparent;
DELETE FROM notices.schema_migrations WHERE name = '{NEWEST}';
"""
_HAS = "SELECT EXISTS (SELECT FROM notices.schema_migrations WHERE name = $1)"


@pytest.fixture
async def older(
    dsn: str, kafka: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> asyncpg.Connection[asyncpg.Record]:
    """An installation without the newest migration, and without its topics."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "sources.yaml").write_text("sources:\n  crm: {kind: cloudevents, secrets: [a-secret-of-the-source]}\n")
    for name, value in {"POSTGRES": dsn, "KAFKA": kafka, "TOPIC_PREFIX": f"{prefix}older."}.items():
        monkeypatch.setenv(f"ANDON_{name}", value)
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    await connection.execute(_GO_BACK)
    return connection


async def upgrade(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["upgrade", *words])


async def test_it_says_what_it_will_do_and_then_does_it(older: asyncpg.Connection[asyncpg.Record]) -> None:
    said = await upgrade("--check")

    assert said.exit_code == 0, said.output
    assert f"andon migrate: schema notices is older than this version: {NEWEST} is missing" in said.output
    assert "pipeline.events does not exist" in said.output
    assert "restart notifier, tickets, analyst, detector, enricher, intake" in said.output
    assert not await older.fetchval(_HAS, NEWEST)

    done = await upgrade()
    assert done.exit_code == 0, done.output
    assert await older.fetchval(_HAS, NEWEST)
    again = await upgrade("--check")
    assert "andon topics create: changes nothing" in again.output
    assert "andon migrate: changes nothing" in again.output
    await older.close()


async def test_nothing_is_done_while_something_stands_in_the_way(older: asyncpg.Connection[asyncpg.Record]) -> None:
    unusable = POLICY.replace("limit: 21d", "limit: soon")
    await asyncio.to_thread(Path("policy.yaml").write_text, unusable)

    refused = await upgrade()

    assert refused.exit_code == 2, refused.output
    assert "Stands in the way:" in refused.output
    assert "'soon'" in refused.output
    assert not await older.fetchval(_HAS, NEWEST)
    await older.close()
