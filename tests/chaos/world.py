"""Real servers and services for chaos runs, killed and restarted at random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from services.demo.kafka import Kafka
from services.demo.postgres import Postgres
from services.simulator import dialects
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink

SECRET = "the-secret-under-chaos"
SERVICES = ("intake", "detector", "tickets", "notifier")
STAGES = 20


def policy(folder: Path) -> Path:
    """The demo's policy plus the pipeline `live`, whose stages hold at most two deals."""
    stages = ", ".join(f"{{id: x{n}, name: Stage {n}}}" for n in range(STAGES))
    rules = "\n".join(f"      - {{kind: wip-high, stage: x{n}, max: 2}}" for n in range(STAGES))
    file = folder / "policy.yaml"
    demo = (Path(dialects.__file__).parents[2] / "demo" / "policy.yaml").read_text()
    file.write_text(
        f"{demo}  live:\n    name: Live\n    owner: {{name: Owner, mail: owner@andon.example}}\n"
        f"    stages: [{stages}, {{id: out, name: Out, outcome: lost}}]\n    rules:\n{rules}\n"
    )
    return file


class World:
    """Servers and services, with a count of kills for each."""

    def __init__(self, folder: Path, chance: random.Random, mails: Sink, show: Callable[[str], None]) -> None:
        self._chance, self._mails, self._show = chance, mails, show
        self.kafka, self.postgres = Kafka(folder / "kafka"), Postgres(folder / "postgres")
        self.kafka.start()
        self.postgres.start()
        self.kills = dict.fromkeys((*SERVICES, "kafka", "postgres", "mail"), 0)
        (folder / "sources.yaml").write_text(
            f"sources: {{crm: {{kind: hubspot, secrets: [{SECRET}], public_url: 'http://x.example/crm'}}}}"
        )
        self.policy = policy(folder)
        self.environment = {
            "ANDON_KAFKA": self.kafka.bootstrap,
            "ANDON_POSTGRES": self.postgres.dsn,
            "ANDON_POLICY": str(self.policy),
            "ANDON_SOURCES": str(folder / "sources.yaml"),
            "ANDON_SMTP_PORT": str(mails.port),
        }
        self.services = {name: ServiceProcess(name, self.environment, folder) for name in SERVICES}

    def start(self) -> None:
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.ready()

    def stop(self) -> None:
        for service in self.services.values():
            service.stop()
        self.postgres.stop()
        self.kafka.stop()

    async def kill_services(self, times: int, least: float = 0.3, most: float = 1.5) -> None:
        """Kill a service `times` times and restart it at once: the first eight in rotation, the rest at random."""
        for number in range(times):
            await asyncio.sleep(self._chance.uniform(least, most))
            name = SERVICES[number % len(SERVICES)] if number < 8 else self._chance.choice(SERVICES)
            await asyncio.to_thread(self._kill, name)
            self._show(f"{sum(self.kills.values())} kills, the last one of {name}")

    async def outages(self) -> None:
        """Kill and restart Kafka and Postgres twice each, with an outage of the mail server after each round."""
        for _ in range(2):
            for name, server in (("kafka", self.kafka), ("postgres", self.postgres)):
                await asyncio.sleep(self._chance.uniform(2, 4))
                await asyncio.to_thread(server.kill)
                self.kills[name] += 1
                self._show(f"{name} is down")
                await asyncio.sleep(self._chance.uniform(0.5, 2))
                await asyncio.to_thread(server.start)
            await asyncio.to_thread(self._mails.stop)
            self.kills["mail"] += 1
            await asyncio.sleep(self._chance.uniform(2, 4))
            await asyncio.to_thread(self._mails.start)

    def revive(self) -> None:
        """Restart services that exited during an outage, as a process supervisor would."""
        for service in self.services.values():
            if service.has_ended():
                service.start()

    def _kill(self, name: str) -> None:
        self.services[name].kill()
        self.kills[name] += 1
        self.services[name].start()
