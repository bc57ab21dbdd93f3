"""Memory of intake and detector over a million events, posted in arrays of a hundred."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import asyncpg
import orjson
import psutil

from shared.postgres.migrate import migrate_all
from tests.bench.detector import POLICY
from tests.bench.figures import Figure, at_most
from tests.bench.intake import SECRET, URL, sources
from tests.bench.load import flood, post
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

EVENTS, DEALS, STEP = 1_000_000, 100_000, 100_000
STAGES = ("lead", "qualified", "demo", "proposal", "negotiation")


def array(first: int) -> bytes:
    """One request with a hundred moves of a hundred deals."""
    began = int(time.time() * 1000) - 3_600_000
    body = orjson.dumps(
        [
            {
                "eventId": n,
                "portalId": 48112233,
                "subscriptionType": "deal.propertyChange",
                "objectId": n % DEALS,
                "propertyName": "dealstage",
                "propertyValue": STAGES[n // DEALS % len(STAGES)],
                "occurredAt": began + n,
            }
            for n in range(first, first + 100)
        ]
    )
    return post("/v1/ingest/crm", signed_v3(body, SECRET, str(int(time.time() * 1000)), URL), body)


async def measure(kafka: str, dsn: str, prefix: str, folder: Path, show: Callable[[str], None]) -> list[Figure]:
    """Resident memory after each tenth. Single readings vary by some megabytes, so growth compares the median of the
    last three with that of the second to fourth, when everything is warm.
    """
    await migrate_all(dsn)
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_SOURCES": str(sources(folder)),
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(POLICY),
    }
    services = {name: ServiceProcess(name, environment, folder).start().ready() for name in ("intake", "detector")}
    connection = await asyncpg.connect(dsn)
    readings: dict[str, list[float]] = {name: [] for name in services}
    for start in range(0, EVENTS, STEP):
        show(f"memory: {start} of {EVENTS} events")
        outcome = await flood(services["intake"].port, [array(n) for n in range(start, start + STEP, 100)], 8)
        assert set(outcome.statuses) == {202}, outcome.statuses

        async def read(wanted: int = start + STEP) -> bool:
            done = await connection.fetchval("SELECT coalesce(sum(next_offset), 0)::bigint FROM flow.position")
            return int(done) >= wanted

        await eventually(read, within=120)
        for name, service in services.items():
            readings[name].append(psutil.Process(service.pid).memory_info().rss / 2**20)
    await connection.close()
    for service in services.values():
        service.stop()
    figures = [
        at_most(f"memory of {name} over a million events, at most", max(values), "MB", 150)
        for name, values in readings.items()
    ]
    return figures + [
        at_most(f"{name}: a million events against 300 k", median(values[-3:]) / median(values[1:4]), "x", 1.1)
        for name, values in readings.items()
    ]
