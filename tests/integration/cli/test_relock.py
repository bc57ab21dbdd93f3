"""`andon relock` on a real Kafka and a real Postgres: what is published, and what is refused."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner, Result

from services.cli.main import app
from shared.contracts.measures import Column, MeasureData
from shared.contracts.relocks import RelockEvent
from shared.contracts.topics import RELOCKS
from shared.postgres.pool import open_pool
from shared.stream import weekly_points

CHART = "p/-/throughput"
START = datetime(2026, 1, 5, tzinfo=UTC)
POLICY = {
    "version": 1,
    "pipelines": {"p": {"name": "P", "owner": {"name": "O", "mail": "o@x.example"}, "stages": [{"id": "lead"}]}},
}


@pytest.fixture
async def andon(
    kafka: str, prefix: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str]:
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    for name, value in (("KAFKA", kafka), ("TOPIC_PREFIX", prefix), ("POSTGRES", dsn)):
        monkeypatch.setenv(f"ANDON_{name}", value)
    monkeypatch.setenv("ANDON_POLICY", str(tmp_path / "policy.yaml"))
    # The topics were created a moment ago: wait until the broker knows them.
    assert await published(kafka, prefix) == []
    return kafka, prefix, dsn


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["relock", *arguments])


async def save_week_0(dsn: str) -> None:
    pool = await open_pool(dsn, "analysis")
    week = MeasureData(
        pipeline="p",
        stage=None,
        measure=Column.THROUGHPUT,
        period="week",
        start=START,
        end=START + timedelta(days=7),
        value=1,
        exact="1",
        week=0,
        over=1,
        numbering=1,
    )
    async with pool.acquire() as connection, connection.transaction():
        await weekly_points.save(connection, [week])
    await pool.close()


async def published(kafka: str, prefix: str) -> list[tuple[str, RelockEvent]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(prefix + RELOCKS, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        found = []
        while await consumer.position(partition) < end:
            record = await consumer.getone()
            found.append((record.key.decode(), RelockEvent.model_validate_json(record.value)))
        return found
    finally:
        await consumer.stop()


async def test_a_relock_is_published(andon: tuple[str, str, str]) -> None:
    kafka, prefix, dsn = andon
    await save_week_0(dsn)

    result = await run(CHART, "--from", "2026-W09", "--points", "13", "--reason", "a new price list")
    early = await run(CHART, "--from", "first", "--points", "12", "--reason", "the log is young")

    assert (result.exit_code, early.exit_code) == (0, 0), result.output + early.output
    (key, relock), (first_key, first) = await published(kafka, prefix)
    assert key == f"{CHART}@2026-W09"
    assert relock.data.model_dump(exclude={"at"}) == {
        "chart": CHART,
        "from_week": "2026-W09",
        "points": 13,
        "reason": "a new price list",
        "actor": "person",
    }
    assert abs(relock.data.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert (first_key, first.data.from_week, first.data.points) == (f"{CHART}@", None, 12)


async def test_weeks_before_the_log_and_in_the_future_are_refused(andon: tuple[str, str, str]) -> None:
    kafka, prefix, dsn = andon
    await save_week_0(dsn)

    for week in ("2026-W01", "2199-W01"):
        result = await run(CHART, "--from", week, "--reason", "a new price list")

        assert result.exit_code == 1
        assert f"--from: '{week}' is not a week of this log; write one from 2026-W02 to " in result.stderr
    assert await published(kafka, prefix) == []


async def test_without_weekly_measures_there_is_nothing_to_relock(andon: tuple[str, str, str]) -> None:
    result = await run(CHART, "--from", "2026-W09", "--reason", "a new price list")

    assert result.exit_code == 1
    assert "there are no weekly measures yet" in result.stderr
