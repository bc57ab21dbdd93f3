"""Which panels turn orange or red for which fault, and no other: real services, of which parts are taken away.

`make panels` runs it; it takes minutes.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import signal
import subprocess
import sys
import time
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
from tests.containers.stack import SECRET, URL, creations
from tests.integration.deploy.test_observed import CHOICES, SERVICES, needs_prometheus, watching
from tests.support.databases import migrated_database
from tests.support.grafana import DEPLOY, View, panels, promql
from tests.support.panel_answers import DataSources, ask
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3
from tests.support.wire import Wire, wire

pytestmark = [
    needs_prometheus,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.environ.get("ANDON_TEST_PANELS") != "1", reason="takes minutes: make panels"),
]


COUNTS = """
SELECT stage_name, count(entered_at) FROM report.stage
LEFT JOIN (SELECT * FROM report.visit WHERE left_at IS NULL) AS v USING (pipeline, stage) GROUP BY stage_name
"""


@dataclass
class Watched:
    """All services, the servers they stand on, and what panels ask."""

    kafka: Kafka
    postgres: Wire
    services: dict[str, ServiceProcess]
    data: DataSources

    async def alarming(self) -> set[str]:
        """The panels with something orange or red."""
        return set(await self.data.alarming(CHOICES["all"]))


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
            "HUBSPOT_SECRET": SECRET,
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


async def three_deals(here: Watched) -> None:
    """A signed webhook of HubSpot."""
    body = creations(3)
    headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{here.services['intake'].url}/v1/ingest/hubspot", content=body, headers=headers)
    assert answer.status_code == 202


async def on_the_board(here: Watched) -> dict[str, float]:
    """Deals in work by the name of their stage, of the board on *flow*."""
    (one,) = (one for one in panels() if one.name == "flow: How do the stages stand now?")
    view = View(time.time() - 3600, time.time(), CHOICES["all"])
    asked = promql(one.panel["targets"][0]["expr"], view, one.dashboard)
    async with httpx.AsyncClient() as client:
        found = await ask(client, here.data.prometheus, asked, view, instant=True)
    return {ast.literal_eval(labels)["stage_name"]: value for labels, value in found}


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
        assert await eventually(here.alarming, lambda found: not found, 120) == set()
        await three_deals(here)
        shown = await eventually(lambda: on_the_board(here), lambda found: sum(found.values()) == 3, 90)
        assert shown == dict(map(tuple, await here.data.postgres.fetch(COUNTS)))
        for name, (begin, end) in STEPS.items():
            await begin(here)
            assert await eventually(here.alarming, expected[name].__eq__, 240) == expected[name], name
            if end is not None:
                await end(here)
                assert await eventually(here.alarming, lambda found: not found, 240) == set(), name
