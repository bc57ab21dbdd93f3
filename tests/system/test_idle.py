"""Services with nothing to do leave the database alone: changes are notified, not polled for."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.demo.postgres import Postgres
from shared.postgres.migrate import migrate_all
from tests.support.processes import ServiceProcess

SERVICES = ("intake", "detector", "enricher", "tickets", "notifier")
SECONDS, PER_SECOND = 20, 10
# Taking up partitions and reading the first present of everything is not idling, and takes long on a busy machine.
PERIODS = 6
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
    """The log of Postgres, once all services are ready."""
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
        yield logging_postgres.log
    finally:
        for service in services:
            service.stop()


def logged_during(seconds: float, log: Path) -> list[dict[str, str]]:
    before = log.stat().st_size
    time.sleep(seconds)
    with log.open("rb") as opened:
        opened.seek(before)
        return [match.groupdict() for match in STATEMENT.finditer(opened.read().decode(errors="replace"))]


async def test_idle_services_make_few_transactions(idle: Path) -> None:
    for _ in range(PERIODS):
        statements = await asyncio.to_thread(logged_during, SECONDS, idle)
        transactions = {(one["transaction"], one["service"]) for one in statements}
        if 0 < len(transactions) <= SECONDS * PER_SECOND:
            return
    pytest.fail(str(Counter(f"{one['service']}: {one['text'][:80]}" for one in statements).most_common()))
