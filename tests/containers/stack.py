"""docker-compose.yml as a project of its own on a container engine, and what its tests ask of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.demo.ports import free_port
from shared.postgres.roles import SCHEMAS
from tests.support.signed_in import PASSWORD
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

ROOT = Path(__file__).resolve().parents[2]
SECRET = "the-client-secret-of-the-app"
SERVICES = {"intake", "detector", "analyst", "enricher", "tickets", "notifier"}
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
    """Compose files as one project, on free ports. `settings` are added to those of `.env`."""

    def __init__(self, folder: Path, files: Sequence[Path], settings: Mapping[str, str]) -> None:
        self.ports = {
            name: free_port() for name in ("INTAKE", "TICKETS", "NOTIFIER", "MAILPIT", "PROMETHEUS", "GRAFANA")
        }
        (folder / "policy.yaml").write_text(POLICY)
        settings = {f"{name}_PORT": str(port) for name, port in self.ports.items()} | {
            "POSTGRES_PASSWORD": "a-password-for-the-test",
            "POSTGRES_ADMIN_PASSWORD": "another-password",
            "REPORT_PASSWORD": "of-the-views",
            **{f"POSTGRES_{service.upper()}_PASSWORD": f"of-{service}" for service in SCHEMAS},
            "GRAFANA_PASSWORD": "of-grafana",
            "HUBSPOT_SECRET": SECRET,
            "ANDON_POLICY_FILE": str(folder / "policy.yaml"),
            **settings,
        }
        (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (folder / "policy.yaml").chmod(0o644)
        named = [part for file in files for part in ("-f", str(file))]
        project = f"andon-test-{os.getpid()}-{folder.name}"
        self._command = ["docker", "compose", "-p", project, *named, "--env-file", str(folder / "env")]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What a command prints; it must not fail unless `check` is false."""
        ended = self.run(*arguments)
        assert not check or ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return ended.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of Compose, and how it ended."""
        environment = os.environ | {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        command = [*self._command, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)

    def up(self, seconds: int) -> None:
        """Start all but Alertmanager: tests/integration/deploy runs the program, as its image is not available."""
        services = set(self.compose("config", "--services").split()) - {"alertmanager"}
        self.compose("up", "-d", "--wait", "--wait-timeout", str(seconds), *sorted(services))

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


@contextmanager
def running(folder: Path, files: Sequence[Path], settings: Mapping[str, str]) -> Iterator[Stack]:
    """A stack that is healthy; it is removed with its volumes."""
    folder.chmod(0o755)
    stack = Stack(folder, files, settings)
    try:
        stack.compose("build")
        stack.up(240)
        yield stack
    finally:
        print(stack.compose("logs", "--tail", "30", check=False)[-8000:])
        stack.compose("down", "--volumes", "--timeout", "20", check=False)


def creations(count: int) -> bytes:
    now = int(time.time() * 1000)
    base = {"portalId": 1, "occurredAt": now}
    stage = {
        "subscriptionType": "deal.propertyChange",
        "propertyName": "dealstage",
        "propertyValue": "appointmentscheduled",
    }
    events = [base | {"subscriptionType": "deal.creation", "objectId": n, "eventId": n} for n in range(count)]
    return json.dumps(events + [base | stage | {"objectId": n, "eventId": 100 + n} for n in range(count)]).encode()


async def tickets_of(stack: Stack) -> list[Any]:
    """As a new viewer sees them, at the link that the command line gives."""
    mail = f"viewer-{time.time_ns()}@example.org"
    link = stack.compose("exec", "-T", "tickets", "andon", "user", "add", mail, "--role", "viewer").split()[0]
    async with httpx.AsyncClient(timeout=20, follow_redirects=True) as client:
        # The link begins with the address at which browsers find the pages.
        await client.post(stack.url("TICKETS") + httpx.URL(link).path, data={"password": PASSWORD})
        return list((await client.get(f"{stack.url('TICKETS')}/api/v1/tickets")).json()["tickets"])


async def first_mail(stack: Stack) -> Mapping[str, Any]:
    """Post webhooks that open a ticket, and wait for the mail of it."""
    body = creations(3)
    async with httpx.AsyncClient(timeout=20) as client:
        headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
        answer = await client.post(f"{stack.url('INTAKE')}/v1/ingest/hubspot", content=body, headers=headers)
        assert (answer.status_code, answer.content) == (202, b"")

        async def mails() -> list[Any]:
            return list((await client.get(f"{stack.url('MAILPIT')}/api/v1/messages")).json()["messages"])

        (mail,) = await eventually(mails, bool, 60)
    return dict(mail)
