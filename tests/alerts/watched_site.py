"""Real servers and services with a little traffic, and what can befall them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from services.demo.kafka import Kafka
from services.demo.postgres import Postgres
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.postgres.migrate import migrate_all
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink
from tests.support.webhooks import signed_v3

SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
SECRET = "the-secret-of-make-alerts"
# Between two webhooks of the traffic.
PAUSE_SECONDS = 2.0
STAGES = 40
CHAOS = Path(__file__).resolve().parents[1] / "chaos"


class WatchedSite:
    """All services on Kafka and Postgres of their own; `mails` takes the mails of the notifier."""

    def __init__(self, folder: Path, mails: Sink) -> None:
        self.folder, self.mails = folder, mails
        self._pids: dict[str, int] = {}
        self.kafka = Kafka(folder / "kafka", on_start=partial(self._pids.__setitem__, "kafka"))
        self.postgres = Postgres(folder / "postgres", on_start=partial(self._pids.__setitem__, "postgres"))
        self._events, self._stages = count(int(time.time() * 1000)), count()
        self._client = httpx.AsyncClient(timeout=10)
        sources = {
            name: {"kind": "hubspot", "secrets": [SECRET], "public_url": _url(name)} for name in ("crm", "quiet")
        }
        (folder / "sources.yaml").write_bytes(orjson.dumps({"sources": sources}))
        (folder / "policy.yaml").write_text(_policy())
        self.services: dict[str, ServiceProcess] = {}

    async def start(self) -> None:
        """Start the servers and one replica of each service."""
        await asyncio.to_thread(self.kafka.start)
        await asyncio.to_thread(self.postgres.start)
        await create_topics(KafkaAccess(self.kafka.bootstrap), "")
        await migrate_all(self.postgres.dsn)
        self.environment = {
            "ANDON_KAFKA": self.kafka.bootstrap,
            "ANDON_POSTGRES": self.postgres.dsn,
            "ANDON_POLICY": str(self.folder / "policy.yaml"),
            "ANDON_SOURCES": str(self.folder / "sources.yaml"),
            "ANDON_SMTP_PORT": str(self.mails.port),
            "ANDON_SMTP_ACCEPT_SECONDS": "5",
            "ANDON_NOTIFIER_MAIL_PAUSE_SECONDS": "1",
        }
        self.services = {name: ServiceProcess(name, self.environment, self.folder).start() for name in SERVICES}
        await asyncio.gather(*(asyncio.to_thread(one.ready) for one in self.services.values()))
        await self.move("quiet", 1, "x0")

    async def stop(self) -> None:
        for one in self.services.values():
            with suppress(ProcessLookupError):
                one.send_signal(signal.SIGCONT)
            await asyncio.to_thread(one.kill)
        await self._client.aclose()
        await asyncio.to_thread(self.postgres.stop)
        await asyncio.to_thread(self.kafka.stop)
        self.postgres.remove()

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Deals move to and fro meanwhile."""
        task = asyncio.create_task(self._move_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def second_detector(self, **settings: str) -> AsyncIterator[ServiceProcess]:
        """Another replica meanwhile."""
        one = ServiceProcess("detector", self.environment | settings, self.folder).start()
        self.services["detector 2"] = one
        await asyncio.to_thread(one.ready)
        try:
            yield one
        finally:
            with suppress(ProcessLookupError):
                one.send_signal(signal.SIGCONT)
            await asyncio.to_thread(self.services.pop("detector 2").stop)

    async def move(self, source: str, deal: int, stage: str, secret: str = SECRET) -> None:
        """One webhook that moves a deal; it is not sent again."""
        hook = {
            "eventId": next(self._events),
            "portalId": 1,
            "occurredAt": int(time.time() * 1000),
            "objectId": deal,
            "subscriptionType": "deal.propertyChange",
            "propertyName": "dealstage",
            "propertyValue": stage,
        }
        await self.post(source, orjson.dumps([hook]), secret)

    async def post(self, source: str, body: bytes, secret: str = SECRET) -> None:
        """One signed request, whatever the answer."""
        headers: dict[str, Any] = signed_v3(body, secret, str(int(time.time() * 1000)), _url(source))
        address = f"{self.services['intake'].url}/v1/ingest/{source}"
        with suppress(httpx.HTTPError):
            await self._client.post(address, content=body, headers=headers | {"Content-Type": "application/json"})

    async def problem(self) -> None:
        """Bring three deals into a stage that holds two: a problem, a ticket and a mail."""
        stage = next(self._stages)
        for deal in range(3):
            await self.move("crm", 1000 + 10 * stage + deal, f"x{stage}")

    async def execute(self, query: str) -> None:
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            await connection.execute(query)
        finally:
            await connection.close()

    def signal_server(self, name: str, number: signal.Signals) -> None:
        """To `kafka` or `postgres`, and all its processes: each of Postgres' has a group of its own."""
        pid = self._pids[name]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(one, number)

    async def _move_forever(self) -> None:
        for number in count():
            await self.move("crm", 1 + number % 4, f"y{number // 4 % 2}")
            await asyncio.sleep(PAUSE_SECONDS)


def _url(source: str) -> str:
    return f"http://x.example/{source}"


def _policy() -> str:
    """One pipeline, whose stages x0 to x39 hold two deals each."""
    stages = ", ".join(_stages())
    rules = "\n".join(f"      - {{kind: wip-high, stage: x{number}, max: 2}}" for number in range(STAGES))
    return (
        "version: 1\ntimezone: UTC\npipelines:\n  default:\n    name: Live\n"
        f"    owner: {{name: Owner, mail: owner@andon.example}}\n    stages: [{stages}]\n    rules:\n{rules}\n"
    )


def _stages() -> Iterator[str]:
    for name in (*(f"x{number}" for number in range(STAGES)), "y0", "y1"):
        yield f"{{id: {name}, name: Stage {name}}}"
    yield "{id: out, name: Out, outcome: lost}"
