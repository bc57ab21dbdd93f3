"""Real servers and services for chaos runs, killed and restarted at random."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from services.demo.kafka import Kafka
from services.demo.postgres import Postgres
from services.simulator import dialects
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink

# A killed server recovers its data first; on a busy machine that takes a while.
RESTART_SECONDS = 180
SECRET = "the-secret-under-chaos"
SERVICES = ("intake", "detector", "analyst", "tickets", "notifier")
# A second replica takes over from a first one that is frozen, or whose clock is ahead.
REPLICATED = ("detector", "analyst", "tickets", "notifier")
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
    """Servers and services, with a count of kills for each.

    `services`: by name; the second replicas are named `detector 2` and so on. `spared`: those that no kill meets.
    """

    def __init__(self, folder: Path, chance: random.Random, mails: Sink, show: Callable[[str], None]) -> None:
        self.chance, self._mails, self._show = chance, mails, show
        self.folder, self.spared = folder, set[str]()
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
            # A mail that was handed over during a kill is sent again after about this time.
            "ANDON_SMTP_ACCEPT_SECONDS": "5",
            "ANDON_NOTIFIER_MAIL_EVERY_SECONDS": "1",
        }
        self.services = {name: ServiceProcess(name, self.environment, folder) for name in SERVICES}
        self.services |= {f"{name} 2": ServiceProcess(name, self.environment, folder) for name in REPLICATED}

    def start(self) -> None:
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.ready()

    def stop(self) -> None:
        for service in self.services.values():
            service.kill()
        self.postgres.stop()
        self.kafka.stop()

    async def kill_services(self, times: int, least: float = 0.3, most: float = 1.5) -> None:
        """Kill a replica `times` times and restart it at once: the first eight in rotation, the rest at random."""
        for number in range(times):
            await asyncio.sleep(self.chance.uniform(least, most))
            replicas = [name for name in self.services if name not in self.spared]
            name = replicas[number % len(replicas)] if number < 8 else self.chance.choice(replicas)
            await asyncio.to_thread(self._kill, name)
            self._show(f"{sum(self.kills.values())} kills, the last one of {name}")

    async def outages(self) -> None:
        """Kill and restart Kafka and Postgres twice each, with an outage of the mail server after each round."""
        for _ in range(2):
            for name, server in (("kafka", self.kafka), ("postgres", self.postgres)):
                await asyncio.sleep(self.chance.uniform(2, 4))
                await asyncio.to_thread(server.kill)
                self.kills[name] += 1
                self._show(f"{name} is down")
                await asyncio.sleep(self.chance.uniform(0.5, 2))
                await asyncio.to_thread(server.start, RESTART_SECONDS)
            await asyncio.to_thread(self._mails.stop)
            self.kills["mail"] += 1
            await asyncio.sleep(self.chance.uniform(2, 4))
            await asyncio.to_thread(self._mails.start)

    def back_up(self) -> None:
        """Copy Postgres's data folder, with the server stopped meanwhile."""
        self.postgres.stop()
        # cp keeps the owner, which is not ours where we are root.
        subprocess.run(["cp", "-a", str(self.postgres.data), str(self._backup)], check=True)
        self.postgres.start()

    def restore(self) -> None:
        """Put the copy in the place of the data folder. Services go on meanwhile."""
        self.postgres.stop()
        shutil.rmtree(self.postgres.data)
        self._backup.rename(self.postgres.data)
        self.postgres.start()

    @property
    def _backup(self) -> Path:
        return self.postgres.data.with_name(f"{self.postgres.data.name}-copy")

    def revive(self) -> None:
        """Restart services that exited during an outage, as a process supervisor would."""
        for service in self.services.values():
            if service.has_ended():
                service.start()

    def replace(self, name: str, environment: dict[str, str]) -> None:
        """Kill a replica, and start it with other variables added."""
        old = self.services[name]
        old.kill()
        self.services[name] = ServiceProcess(old.service, self.environment | environment, self.folder, old.port).start()

    def _kill(self, name: str) -> None:
        self.services[name].kill()
        self.kills[self.services[name].service] += 1
        self.services[name].start()
