"""The project's files in a folder of their own, installed on a container engine, and what tests ask of that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.demo.ports import free_port
from tests.support.signed_in import PASSWORD
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("deploy", "requirements", "services", "shared")
FILES = ("*.yml", "*.toml", "*.md", ".env.example", ".dockerignore", "setup.py", "LICENSE")
PYTHON = "python:3.11.15-slim-bookworm"
SECRET = "the-client-secret-of-the-app"
SERVICES = {"intake", "detector", "analyst", "enricher", "tickets", "notifier"}
# Of these no image may be available: tests/integration/deploy runs Alertmanager's program.
NOT_STARTED = {"alertmanager", "grafana", "node-exporter", "postgres-exporter", "demo"}
URL = "https://hooks.example.org/v1/ingest/hubspot"
POLICY = """
version: 1
pipelines:
  default:
    name: Sales pipeline
    owner: {name: Head of sales, mail: sales@example.org}
    stages: [{id: appointmentscheduled, name: Appointment scheduled}]
    rules: [{kind: wip-high, stage: appointmentscheduled, max: 2}]
"""
NEEDS_ENGINE = [
    pytest.mark.containers,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("ANDON_TEST_CONTAINERS") != "1", reason="needs a container engine: make test-containers"
    ),
]


class Stack:
    """One installation, on free ports. `settings` are added to those of `.env`, `files` to the Compose files."""

    def __init__(self, folder: Path, files: Sequence[Path], settings: Mapping[str, str]) -> None:
        self.folder, self.project = folder, f"andon-test-{os.getpid()}-{folder.name}"
        copy_project(folder)
        names = ("INTAKE", "TICKETS", "NOTIFIER", "MAILPIT", "PROMETHEUS")
        self.ports = {name: free_port() for name in names}
        (folder / "deploy" / "policy.yaml").write_text(POLICY)
        compose_files = ["docker-compose.yml", *map(str, files), str(stand_ins(folder))]
        settings = {f"{name}_PORT": str(port) for name, port in self.ports.items()} | {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": ":".join(compose_files),
            "COMPOSE_PROFILES": "backup",
            "HUBSPOT_SECRET": SECRET,
            **settings,
        }
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")} | {
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }

    def install(self, *options: str) -> str:
        """Run deploy/install.sh; what it prints to standard output. `--force`: the machine of a test may be small."""
        return self._checked("bash", "deploy/install.sh", "--force", *options)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What a command prints; it must not fail unless `check` is false."""
        return self._checked("docker", "compose", *arguments) if check else self.run(*arguments).stdout

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of Compose, with other `settings` than those in `.env`, and how it ended."""
        return self._run("docker", "compose", *arguments, settings=settings)

    def engine(self, *arguments: str) -> str:
        """What a command of the engine prints; it must not fail."""
        return self._checked("docker", *arguments)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container, also of one that has ended."""
        identity = self.compose("ps", "-aq", service).split()[0]
        return self._described(identity)

    def image(self, name: str) -> dict[str, Any]:
        """What the engine says of an image."""
        return self._described(name)

    def own_bytes(self, name: str) -> int:
        """The unpacked size of an image without that of its base."""
        base = self._described(here(PYTHON))
        return int(self._described(name)["Size"]) - int(base["Size"])

    def _described(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.engine("inspect", name))
        return found[0]

    def up(self, *services: str) -> None:
        """Start services, and wait until they are healthy."""
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", *services)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def _checked(self, *command: str) -> str:
        ended = self._run(*command)
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return ended.stdout

    def _run(self, *command: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = self._environment | dict(settings or {})
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env=environment)


def copy_project(folder: Path) -> None:
    """What an installation is made of."""
    ignored = shutil.ignore_patterns("__pycache__", "passwords", "secrets", "certificates")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "deploy" / "secrets").mkdir()
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            shutil.copy(path, folder / path.name)


def stand_ins(folder: Path) -> Path:
    """A Compose file that names, for each image that is not here, another version of it that is."""
    services: dict[str, dict[str, Any]] = {}
    for name, service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].items():
        if "build" in service:
            services[name] = {"build": {"args": {"PYTHON": here(PYTHON)}}}
        elif (image := here(service["image"])) != service["image"]:
            services[name] = {"image": image}
    (folder / "stand-ins.yml").write_text(yaml.safe_dump({"services": services}))
    return folder / "stand-ins.yml"


def here(image: str) -> str:
    """The image itself where the engine has it, or has none of its repository; else one that it has."""
    repository = image.partition(":")[0]
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return image if image in found or not found else found[0]


@contextmanager
def running(folder: Path, files: Sequence[Path], settings: Mapping[str, str], *options: str) -> Iterator[Stack]:
    """A stack that is healthy; it is removed with its volumes."""
    folder.chmod(0o755)
    stack = Stack(folder, files, settings)
    try:
        stack.install(*options)
        yield stack
    finally:
        print(stack.compose("logs", "--tail", "30", check=False)[-8000:])
        stack.compose("down", "--volumes", "--timeout", "5", check=False)


def creations(count: int, first: int = 0) -> bytes:
    """A webhook that says that deals were made in the policy's stage."""
    now = int(time.time() * 1000)
    base = {"portalId": 1, "occurredAt": now}
    stage = {
        "subscriptionType": "deal.propertyChange",
        "propertyName": "dealstage",
        "propertyValue": "appointmentscheduled",
    }
    deals = range(first, first + count)
    events = [base | {"subscriptionType": "deal.creation", "objectId": n, "eventId": n} for n in deals]
    return json.dumps(events + [base | stage | {"objectId": n, "eventId": 100_000 + n} for n in deals]).encode()


async def post(stack: Stack, body: bytes) -> None:
    """Post a signed webhook, as HubSpot does: again until it is accepted."""
    async with httpx.AsyncClient(timeout=20) as client:

        async def status() -> int:
            headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
            try:
                answer = await client.post(f"{stack.url('INTAKE')}/v1/ingest/hubspot", content=body, headers=headers)
            except httpx.TransportError:
                return 0
            return answer.status_code

        await eventually(status, lambda code: code == 202, 60)


async def tickets_of(stack: Stack) -> list[Any]:
    """As a new viewer sees them, at the link that the command line gives."""
    mail = f"viewer-{time.time_ns()}@example.org"
    link = stack.compose("exec", "-T", "tickets", "andon", "user", "add", mail, "--role", "viewer").split()[0]
    async with httpx.AsyncClient(timeout=20, follow_redirects=True) as client:
        # The link begins with the address at which browsers find the pages.
        await client.post(stack.url("TICKETS") + httpx.URL(link).path, data={"password": PASSWORD})
        return list((await client.get(f"{stack.url('TICKETS')}/api/v1/tickets")).json()["tickets"])


async def deals_of(stack: Stack) -> int:
    """How many deals the detector knows."""
    sql = "SELECT count(*) FROM flow.deal"
    query = ["exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "andon", "-At", "-c", sql]
    return int(stack.compose(*query, check=False) or -1)


async def first_mail(stack: Stack) -> Mapping[str, Any]:
    """Post webhooks that open a ticket, and wait for the mail of it."""
    await post(stack, creations(3))
    async with httpx.AsyncClient(timeout=20) as client:

        async def mails() -> list[Any]:
            return list((await client.get(f"{stack.url('MAILPIT')}/api/v1/messages")).json()["messages"])

        (mail,) = await eventually(mails, bool, 60)
    return dict(mail)
