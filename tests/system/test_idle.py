"""Services with nothing to do leave the database alone: changes are notified, not polled for."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from services.demo.postgres import Postgres
from services.detector.evaluate.activity import LINGER_SECONDS
from shared.postgres.migrate import migrate_all
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

SERVICES = ("intake", "detector", "enricher", "tickets", "notifier")
SECONDS, PER_SECOND = 20, 10
# Each service that needs Postgres asks whether it answers, over a connection of its own.
PROBE, PROBES_PER_SECOND = "andon-probe", 2
# Judgement has reached the present.
SETTLED = "SELECT watermark > (extract(epoch FROM now()) - 5) * 1000000 FROM flow.evaluation_state"
# Every statement, after the id of its transaction and the name of its service.
LOGGED = ("-c", "log_statement=all", "-c", "log_line_prefix=|%v|%a|", "-c", "autovacuum=off")
STATEMENT = re.compile(
    r"^\|(?P<transaction>\d+/\d+)\|(?P<service>[^|]*)\|LOG:  (?:execute|statement)(?P<text>.*)", re.M
)
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


@pytest.fixture
def logging_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server of its own that logs every statement: the counters of Postgres lag, and count its own work too."""
    tmp_path.chmod(0o755)
    server = Postgres(tmp_path / "postgres", options=LOGGED)
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
async def idle(kafka: str, logging_postgres: Postgres, prefix: str, tmp_path: Path) -> AsyncIterator[Path]:
    """The log of Postgres, once all services have settled."""
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    (tmp_path / "sources.yaml").write_text(json.dumps(SOURCES))
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": logging_postgres.dsn,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_POLICY": str(tmp_path / "policy.yaml"),
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
    }
    await migrate_all(logging_postgres.dsn)
    services = [ServiceProcess(name, environment, tmp_path).start() for name in SERVICES]
    try:
        for service in services:
            service.ready()
        await settled(services, logging_postgres.dsn)
        yield logging_postgres.log
    finally:
        for service in services:
            service.stop()


async def settled(services: Sequence[ServiceProcess], dsn: str) -> None:
    """Wait until all partitions are taken up, and nothing is left to do."""
    for service in services:
        if service.service != "intake":
            await eventually(partial(asyncio.to_thread, is_assigned, service), within=120)
    connection = await asyncpg.connect(dsn)
    await eventually(lambda: connection.fetchval(SETTLED), within=120)
    await connection.close()
    # Loops run often until then.
    await asyncio.sleep(LINGER_SECONDS + 1)


def is_assigned(service: ServiceProcess) -> bool:
    """Whether its consumer has partitions, and has asked how far they go."""
    return "\nandon_consumer_lag_records{" in service.get("/metrics")


def logged_during(seconds: float, log: Path) -> list[dict[str, str]]:
    before = log.stat().st_size
    time.sleep(seconds)
    with log.open("rb") as opened:
        opened.seek(before)
        return [match.groupdict() for match in STATEMENT.finditer(opened.read().decode(errors="replace"))]


async def test_idle_services_make_few_transactions(idle: Path) -> None:
    statements = await asyncio.to_thread(logged_during, SECONDS, idle)

    transactions = {(one["transaction"], one["service"]) for one in statements}
    probes = {one for one in transactions if one[1] == PROBE}
    shown = Counter(f"{one['service']}: {one['text'][:80]}" for one in statements).most_common()
    assert 0 < len(transactions - probes) <= SECONDS * PER_SECOND, shown
    assert 0 < len(probes) <= SECONDS * PROBES_PER_SECOND, shown
