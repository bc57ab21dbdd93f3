"""A history goes in with judging held, also when it is cut off; what it finds of the past is historic."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from services.detector import control
from services.detector.control import DetectorStalled
from services.detector.settings import DetectorSettings
from services.detector.store import watermark
from services.detector.store.copy_tables import open_flow
from services.detector.store.watermark import Standing
from services.importer.load import LoadError, LoadProgress, Portion, load, wait_and_reevaluate
from shared.contracts.envelope import iso
from shared.contracts.topics import EVENTS
from shared.kafka.publisher import OutgoingMessage
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros
from tests.support.histories import policy_text
from tests.support.processes import ServiceProcess

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOBODY = LoadProgress(lambda done: None, lambda done, total: None, lambda done, total: None)
CROWDED = [{"kind": "wip-high", "max": 2, "hold": "1d"}]


def settings_of(kafka: str, dsn: str, prefix: str, folder: Path) -> DetectorSettings:
    policy = folder / "policy.yaml"
    policy.write_text(json.dumps(policy_text(CROWDED)))
    return DetectorSettings.model_validate({"kafka": kafka, "postgres": dsn, "topic_prefix": prefix, "policy": policy})


def detector(settings: DetectorSettings, folder: Path) -> ServiceProcess:
    environment = {
        "ANDON_KAFKA": settings.kafka,
        "ANDON_POSTGRES": settings.dsn,
        "ANDON_POLICY": str(settings.policy),
        "ANDON_TOPIC_PREFIX": settings.topic_prefix,
    }
    return ServiceProcess("detector", environment, folder)


def event(prefix: str, deal: int, day: float, kind: str, data: dict[str, Any]) -> OutgoingMessage:
    value = {
        "specversion": "1.0",
        "id": f"{kind}-{day}",
        "source": "crm",
        "type": f"andon.deal.{kind}",
        "subject": f"crm:{deal}",
        "time": iso(START + timedelta(days=day)),
        "data": data,
    }
    return OutgoingMessage(prefix + EVENTS, f"crm:{deal}".encode(), orjson.dumps(value))


async def history(prefix: str) -> AsyncIterator[Portion]:
    """Four deals crowd stage a from day 0 to day 10, in two portions, the later events first."""
    yield Portion([event(prefix, n, 10, "won", {}) for n in range(4)], micros(START + timedelta(days=10)))
    begun = [event(prefix, n, 0, "created", {"pipeline": "p", "stage": "a"}) for n in range(4)]
    yield Portion(begun, micros(START))


async def broken(prefix: str) -> AsyncIterator[Portion]:
    async for portion in history(prefix):
        yield portion
        raise TimeoutError("the tape is torn")


async def held(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval("SELECT held FROM flow.evaluation_state")
    await connection.close()
    return found


async def test_problems_of_the_past_are_historic(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> None:
    settings = settings_of(kafka, dsn, prefix, tmp_path)
    process = detector(settings, tmp_path).start().ready()

    first_run = await load(settings, history(prefix), NOBODY)
    second_run = await load(settings, history(prefix), NOBODY)

    assert process.stop() == 0
    connection = await asyncpg.connect(dsn)
    assert [tuple(row) for row in await connection.fetch("SELECT key, opened_at, historic FROM flow.problem")] == [
        ("wip-high/p/a", START + timedelta(days=1), True)
    ]
    assert (
        await connection.fetchval("SELECT count(*) FROM flow.event") == first_run.published == second_run.published == 8
    )
    assert first_run.problems is not None
    assert second_run.problems is not None
    assert sum(first_run.problems.values()) == 1
    assert second_run.problems == {}
    assert await held(dsn) is False
    await connection.close()


@pytest.mark.parametrize("clock", ClockKind)
async def test_all_is_read_only_once_every_partition_is_seen_at_its_end(
    clock: ClockKind, kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_of(kafka, dsn, prefix, tmp_path).model_copy(update={"clock": clock})
    pool = await open_flow(dsn, max_size=1)
    # Nothing was ever on the topic, and nobody has seen yet that it is empty.
    await watermark.record(pool, [Standing(number, False, 0, 0) for number in range(4)], partitions=4)
    waiting = asyncio.ensure_future(control.wait_until_read(settings, lambda read, total: None))
    await asyncio.sleep(1)
    assert not waiting.done()
    with pytest.raises(DetectorStalled, match="nothing for 0 s, and has not seen every partition at its end"):
        await control.wait_until_read(settings, lambda read, total: None, patience=0.3)

    later = micros(datetime.now(UTC) + timedelta(minutes=1))
    await watermark.record(pool, [Standing(number, True, later, later) for number in range(4)], partitions=4)
    async with asyncio.timeout(30):
        await waiting
    await pool.close()


async def test_what_is_cut_off_stays_held_until_a_run_comes_to_its_end(
    kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_of(kafka, dsn, prefix, tmp_path)
    detector(settings, tmp_path).start().ready().stop()

    with pytest.raises(LoadError, match=r"torn.*Evaluation is held"):
        await load(settings, broken(prefix), NOBODY)
    assert await held(dsn) is True

    with pytest.raises(LoadError, match=r"nothing for 0 s, 4 records are left"):
        await wait_and_reevaluate(settings, 0, NOBODY, patience=0.3)
    assert await held(dsn) is True

    # A start with another policy evaluates again, but not while half of a history is loaded.
    settings.policy.write_text(json.dumps(policy_text([])))
    process = detector(settings, tmp_path).start().ready()
    assert await held(dsn) is True
    await load(settings, history(prefix), NOBODY)
    assert await held(dsn) is False
    process.stop()


async def test_one_history_goes_in_at_a_time(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> None:
    settings = settings_of(kafka, dsn, prefix, tmp_path)
    refused = []

    async def first() -> AsyncIterator[Portion]:
        try:
            await load(settings, history(prefix), NOBODY)
        except LoadError as error:
            refused.append(str(error))
        return
        yield

    assert (await load(settings, first(), NOBODY)).published == 0
    assert refused == ["another import or back-fill is running: wait until it ends, then run this again"]
    assert await held(dsn) is False


async def test_a_missing_topic_is_named(kafka: str, dsn: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"no topic nowhere\.pipeline\.events: make it"):
        await wait_and_reevaluate(settings_of(kafka, dsn, "nowhere.", tmp_path), 0, NOBODY)
