"""Which panels turn orange or red for which fault, and no other: real services, of which parts are taken away.

`make panels` runs it; it takes minutes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer

from services.demo.kafka import Kafka
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.postgres.report import ROLE, grant_report
from tests.integration.deploy.test_observed import CHOICES, SERVICES, needs_prometheus, watching
from tests.support.databases import migrated_database
from tests.support.grafana import DEPLOY
from tests.support.panel_answers import DataSources
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.wire import Wire, wire

pytestmark = [
    needs_prometheus,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.environ.get("ANDON_TEST_PANELS") != "1", reason="takes minutes: make panels"),
]


@dataclass
class Watched:
    """All services, the servers they stand on, and what panels ask."""

    kafka: Kafka
    postgres: Wire
    services: dict[str, ServiceProcess]
    data: DataSources

    async def alarming(self) -> set[str]:
        """The panels with something orange or red."""
        shown = await self.data.shown(CHOICES["all"])
        return {name for name, one in shown.items() if one.alarming}


@asynccontextmanager
async def watched(dsn: str, folder: Path) -> AsyncIterator[Watched]:
    kafka = Kafka(folder / "kafka")
    kafka.start()
    await create_topics(KafkaAccess(kafka.bootstrap), "")
    async with wire(dsn) as (line, dsn_over_wire):
        environment = {
            "ANDON_KAFKA": kafka.bootstrap,
            "ANDON_POSTGRES": dsn_over_wire,
            "ANDON_POLICY": str(DEPLOY / "policy.yaml"),
            "ANDON_SOURCES": str(DEPLOY / "sources.yaml"),
            "HUBSPOT_SECRET": "a-secret-for-the-test",
        }
        running = {name: ServiceProcess(name, environment, folder).start() for name in SERVICES}
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"SET ROLE {ROLE}")
        try:
            # In threads: the wire is served by this loop.
            await asyncio.gather(*(asyncio.to_thread(one.ready) for one in running.values()))
            async with watching(running, folder) as url:
                yield Watched(kafka, line, running, DataSources(url, connection))
        finally:
            await connection.close()
            for one in running.values():
                one.kill()
            kafka.stop()


async def no_kafka(here: Watched) -> None:
    here.kafka.kill()


async def kafka_again(here: Watched) -> None:
    here.kafka.restart()


async def no_postgres(here: Watched) -> None:
    await here.postgres.cut()


async def postgres_again(here: Watched) -> None:
    here.postgres.restore()


async def detector_frozen(here: Watched) -> None:
    here.services["detector"].send_signal(signal.SIGSTOP)


async def detector_again(here: Watched) -> None:
    here.services["detector"].send_signal(signal.SIGCONT)


async def unreadable_record(here: Watched) -> None:
    async with AIOKafkaProducer(bootstrap_servers=here.kafka.bootstrap) as producer:
        await producer.send_and_wait(EVENTS, b"not an event", key=b"deal")


async def dismissed(here: Watched) -> None:
    """As `andon dead-letters dismiss` does with all."""
    environment = {**os.environ, "ANDON_KAFKA": here.kafka.bootstrap}
    command = [sys.executable, "-m", "services.cli.main", "dead-letters", "dismiss", "--all"]
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True)


async def wrong_secret(here: Watched) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(60):
            answer = await client.post(f"{here.services['intake'].url}/v1/ingest/hubspot", content=b"[]")
            assert answer.status_code == 401


Step = Callable[[Watched], Awaitable[None]]
# None: it takes a quarter of an hour until all is well.
STEPS: dict[str, tuple[Step, Step | None]] = {
    "Kafka stopped": (no_kafka, kafka_again),
    "Postgres stopped": (no_postgres, postgres_again),
    "detector frozen": (detector_frozen, detector_again),
    "a record that cannot be read": (unreadable_record, dismissed),
    "a wrong secret": (wrong_secret, None),
}


def documented() -> dict[str, set[str]]:
    """The panels by fault, of the table in docs/operator/dashboards.md."""
    text = (DEPLOY.parent / "docs" / "operator" / "dashboards.md").read_text()
    lines = text[text.index("| fault |") :].split("\n\n")[0].splitlines()
    head, _, *rows = lines
    columns = [one.strip() for one in head.split("|")[2:-1]]
    found = {}
    for row in rows:
        _, fault, *cells, _ = row.split("|")
        pairs = zip(columns, cells, strict=True)
        found[fault.strip()] = {
            f"{column}: {title}" for column, cell in pairs for title in re.findall(r"\*(.+?)\*", cell)
        }
    return found


async def test_each_fault_turns_its_panels_and_no_other(postgres: str, tmp_path: Path) -> None:
    expected = documented()
    assert expected.keys() == STEPS.keys()
    dsn = await migrated_database(postgres)
    await grant_report(dsn)
    async with watched(dsn, tmp_path) as here:
        assert await eventually(here.alarming, lambda found: not found, 90) == set()
        for name, (begin, end) in STEPS.items():
            await begin(here)
            assert await eventually(here.alarming, expected[name].__eq__, 150) == expected[name], name
            if end is not None:
                await end(here)
                assert await eventually(here.alarming, lambda found: not found, 240) == set(), name
