"""The line as the demonstration lays it: ports, settings of each service, the source of the simulated CRM."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka.errors import KafkaError
from rich.console import Console

from services.cli.load_steps import steps
from services.demo.kafka import ServerError, answers, free_port
from services.demo.processes import Child
from services.detector import control
from services.detector.settings import DetectorSettings
from services.importer.load import wait_and_reevaluate
from services.simulator import run
from services.simulator.post import poster
from services.simulator.run import SimulationJournal
from shared.kafka.admin import create_topics
from shared.postgres.migrate import migrate_all

POLICY = Path(__file__).parent / "policy.yaml"
SOURCE = "hubspot-demo"
PORTS = {"tickets": 8080, "inbox": 8025, "smtp": 1025, "intake": 8081, "detector": 8082, "notifier": 8084}


class Line:
    """What the parts of one demonstration have to know of each other."""

    def __init__(self, folder: Path, kafka: str, postgres: str) -> None:
        self.folder, self.kafka, self.postgres = folder, kafka, postgres
        self.ports = {name: port if not answers(port) else free_port() for name, port in PORTS.items()}
        self._own_sink = "ANDON_SMTP_HOST" not in os.environ
        self._secret = self._kept_secret()

    @property
    def tickets_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['tickets']}"

    @property
    def inbox_url(self) -> str | None:
        return f"http://127.0.0.1:{self.ports['inbox']}" if self._own_sink else None

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['intake']}/v1/ingest/{SOURCE}"

    @property
    def shown_postgres(self) -> str:
        """The address without a password."""
        parts = urlsplit(self.postgres)
        who, at, where = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=who.partition(":")[0] + at + where))

    def environment(self, name: str = "") -> dict[str, str]:
        """The settings of a service."""
        own = {
            "ANDON_KAFKA": self.kafka,
            "ANDON_POSTGRES": self.postgres,
            "ANDON_POLICY": str(POLICY),
            "ANDON_SOURCES": str(self._sources()),
            "ANDON_DEMO_SECRET": self._secret,
            "ANDON_LOG": "console",
            "ANDON_TICKETS_URL": self.tickets_url,
            "ANDON_REPLICA": f"{name}-demo",
            "ANDON_HOST": "127.0.0.1",
        }
        if name in self.ports:
            own["ANDON_PORT"] = str(self.ports[name])
        if self._own_sink:
            own |= {"ANDON_SMTP_HOST": "127.0.0.1", "ANDON_SMTP_PORT": str(self.ports["smtp"])}
        return own

    async def prepare(self, hold: bool) -> None:
        """Topics and tables; while a history goes in nothing is judged."""
        try:
            await create_topics(self.kafka)
        except KafkaError as error:
            raise ServerError(f"Kafka at {self.kafka} (ANDON_KAFKA) cannot be used: {error}") from None
        try:
            await migrate_all(self.postgres)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ServerError(f"Postgres at {self.shown_postgres} (ANDON_POSTGRES) cannot be used: {error}") from None
        if hold:
            await control.hold(self._detector())

    def service(self, name: str) -> Child:
        log = self.folder / f"{name}.log"
        return Child(name, ["services.cli.main", name], self.environment(name), log, self.ports[name])

    def sink(self) -> list[Child]:
        """The mail sink, unless the environment names a mail server."""
        arguments = [
            "services.demo.inbox",
            str(self.folder / "mails"),
            str(self.ports["smtp"]),
            str(self.ports["inbox"]),
        ]
        log = self.folder / "inbox.log"
        return [Child("inbox", arguments, {}, log, self.ports["inbox"])] if self._own_sink else []

    def crm(self, journal: Path, folder: Path) -> Child:
        """The simulated CRM, from where its journal says that it stands."""
        arguments = ["services.cli.main", "simulate", "--to", self.webhook_url, "--live", "--journal", str(journal)]
        return Child("simulated CRM", arguments, self.environment(), folder / "crm.log")

    async def play_history(self, journal: SimulationJournal, console: Console) -> None:
        """Post the history, wait until it is read, and judge it as a whole."""
        told = run.history(journal.seed, journal.days, journal.end)
        total = sum(len(one.properties) + one.created for one in told)
        with steps("half a year of webhooks, posted", console, lambda done: total) as shown:
            async with poster(self.webhook_url, self._secret) as to:
                await run.post_history(to, journal, shown.published)
            await wait_and_reevaluate(self._detector(), 0, shown)

    def _detector(self) -> DetectorSettings:
        return DetectorSettings.from_environment(self.environment("detector"))

    def _sources(self) -> Path:
        file = self.folder / "sources.yaml"
        file.write_text(
            "# The simulated CRM.\nsources:\n"
            f"  {SOURCE}: {{kind: hubspot, secrets: ['env:ANDON_DEMO_SECRET'], public_url: '{self.webhook_url}'}}\n"
        )
        return file

    def _kept_secret(self) -> str:
        file = self.folder / "secret"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(32))
        return file.read_text().strip()
