"""The layout of one demo: which processes run, on which ports, with which settings."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

from services.demo.ports import Ports
from services.demo.processes import ChildProcess
from services.detector.settings import DetectorSettings
from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS
from shared.runtime.addresses import dsn_of_user, printable_dsn

POLICY = Path(__file__).parent / "policy.yaml"
SOURCE = "hubspot-demo"
SECRET_FILE = "secret"  # noqa: S105 (the name of a file)
SERVICES = ("intake", "detector", "analyst", "tickets", "notifier")
# Used unless something else listens there.
PREFERRED_PORTS = {
    "tickets": 8080,
    "inbox": 8025,
    "smtp": 1025,
    "intake": 8081,
    "detector": 8082,
    "notifier": 8084,
    "analyst": 8085,
}


class Topology:
    """Ports, addresses and settings of the services, the mail inbox and the simulated CRM.

    `kafka` is its bootstrap address, `postgres` its DSN. If the environment names a mail server, there is no inbox.
    `is_own_postgres`: each service signs in with its own role, and a new password at each start. On another server the
    demo changes no passwords: roles belong to the whole server, and an installation may use them.
    """

    def __init__(self, folder: Path, kafka: str, postgres: str, ports: Ports, is_own_postgres: bool = False) -> None:
        self.folder, self.kafka, self.postgres = folder, kafka, postgres
        self.passwords = {service: secrets.token_urlsafe(32) for service in SCHEMAS if is_own_postgres}
        self.ports = {name: ports.choose(name, preferred) for name, preferred in PREFERRED_PORTS.items()}
        self._has_inbox = "ANDON_SMTP_HOST" not in os.environ
        self.secret = _load_secret(folder / SECRET_FILE)

    @property
    def tickets_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['tickets']}"

    @property
    def inbox_url(self) -> str | None:
        return f"http://127.0.0.1:{self.ports['inbox']}" if self._has_inbox else None

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['intake']}/v1/ingest/{SOURCE}"

    def metrics_url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}/metrics"

    def exports(self) -> list[str]:
        """The settings of the `andon` commands in another terminal, as lines for a shell.

        Without a DSN that has a password: it came from the environment, and is known there.
        """
        settings = {
            "ANDON_KAFKA": self.kafka,
            "ANDON_POLICY": str(POLICY),
            "ANDON_SOURCES": str(self._sources_file),
        }
        if printable_dsn(self.postgres) == self.postgres:
            settings["ANDON_POSTGRES"] = self.postgres
        return [f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())]

    def environment(self, service: str = "") -> dict[str, str]:
        """The settings of a service, as environment variables."""
        settings = {
            "ANDON_KAFKA": self.kafka,
            "ANDON_POSTGRES": self._postgres_of(service),
            "ANDON_POLICY": str(POLICY),
            "ANDON_SOURCES": str(self._write_sources()),
            "ANDON_LOG": "console",
            "ANDON_TICKETS_URL": self.tickets_url,
            "ANDON_NOTIFIER_URL": f"http://127.0.0.1:{self.ports['notifier']}",
            "ANDON_DETECTOR_URL": f"http://127.0.0.1:{self.ports['detector']}",
            "ANDON_REPLICA": f"{service}-demo",
            "ANDON_HOST": "127.0.0.1",
        }
        # How to sign in to a Kafka that the environment names.
        settings |= {name: value for name, value in os.environ.items() if name.startswith("ANDON_KAFKA_")}
        if service in self.ports:
            settings["ANDON_PORT"] = str(self.ports[service])
        if self._has_inbox:
            settings |= {"ANDON_SMTP_HOST": "127.0.0.1", "ANDON_SMTP_PORT": str(self.ports["smtp"])}
        return settings

    def _postgres_of(self, service: str) -> str:
        password = self.passwords.get(service)
        return dsn_of_user(self.postgres, role_of(service), password) if password else self.postgres

    def detector_settings(self) -> DetectorSettings:
        return DetectorSettings.from_environment(self.environment("detector"))

    def children(self) -> list[ChildProcess]:
        """The inbox, if there is one, and the services; not the simulated CRM."""
        return [*self._inbox(), *(self._service(name) for name in SERVICES)]

    def crm(self, journal: Path) -> ChildProcess:
        """The simulated CRM, which posts live events from the position in its journal."""
        arguments = ["services.cli.main", "simulate", "--to", self.webhook_url, "--live", "--journal", str(journal)]
        environment = self.environment() | {"ANDON_DEMO_SECRET": self.secret}
        return ChildProcess("simulated CRM", arguments, environment, self.folder / "crm.log")

    def _service(self, name: str) -> ChildProcess:
        log = self.folder / f"{name}.log"
        arguments = ["services.cli.main", name]
        return ChildProcess(name, arguments, self.environment(name), log, self.ports[name], "/readyz")

    def _inbox(self) -> list[ChildProcess]:
        if not self._has_inbox:
            return []
        smtp, http = str(self.ports["smtp"]), str(self.ports["inbox"])
        arguments = ["services.demo.inbox", str(self.folder / "mails"), smtp, http]
        return [ChildProcess("inbox", arguments, {}, self.folder / "inbox.log", self.ports["inbox"])]

    @property
    def _sources_file(self) -> Path:
        return self.folder / "sources.yaml"

    def _write_sources(self) -> Path:
        self._sources_file.write_text(
            "# The simulated CRM.\nsources:\n"
            f"  {SOURCE}: {{kind: hubspot, secrets: ['file:{SECRET_FILE}'], public_url: '{self.webhook_url}'}}\n"
        )
        return self._sources_file


def _load_secret(file: Path) -> str:
    """The secret that the simulated CRM signs with, created on first use."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text().strip()
