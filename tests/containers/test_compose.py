"""docker-compose.yml on a container engine: all services become healthy, and a webhook leads to a mail."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.demo.ports import free_port
from shared.postgres.roles import SCHEMAS, role_of
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
pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("ANDON_TEST_CONTAINERS") != "1", reason="needs a container engine: make test-containers"
    ),
]


class Stack:
    """The compose file as a project of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: free_port() for name in ("INTAKE", "TICKETS", "MAILPIT", "PROMETHEUS", "GRAFANA")}
        (folder / "policy.yaml").write_text(POLICY)
        settings = {f"{name}_PORT": str(port) for name, port in self.ports.items()} | {
            "POSTGRES_PASSWORD": "a-password-for-the-test",
            "POSTGRES_ADMIN_PASSWORD": "another-password",
            "REPORT_PASSWORD": "of-the-views",
            **{f"POSTGRES_{service.upper()}_PASSWORD": f"of-{service}" for service in SCHEMAS},
            "GRAFANA_PASSWORD": "of-grafana",
            "HUBSPOT_SECRET": SECRET,
            "ANDON_POLICY_FILE": str(folder / "policy.yaml"),
        }
        (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (folder / "policy.yaml").chmod(0o644)
        self._command = ["docker", "compose", "-p", f"andon-test-{os.getpid()}", "--env-file", str(folder / "env")]

    def compose(self, *arguments: str, check: bool = True) -> str:
        environment = os.environ | {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        ended = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
        )
        assert not check or ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return ended.stdout

    def up(self, seconds: int) -> None:
        """Start all but Alertmanager: tests/integration/deploy runs the program, as its image is not available."""
        services = set(self.compose("config", "--services").split()) - {"alertmanager"}
        self.compose("up", "-d", "--wait", "--wait-timeout", str(seconds), *sorted(services))

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    folder.chmod(0o755)
    stack = Stack(folder)
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


async def test_a_webhook_leads_to_a_ticket_and_a_mail(stack: Stack) -> None:
    body = creations(3)
    async with httpx.AsyncClient(timeout=20) as client:
        headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
        answer = await client.post(f"{stack.url('INTAKE')}/v1/ingest/hubspot", content=body, headers=headers)
        assert (answer.status_code, answer.content) == (202, b"")

        async def mails() -> list[Any]:
            return list((await client.get(f"{stack.url('MAILPIT')}/api/v1/messages")).json()["messages"])

        (mail,) = await eventually(mails, bool, 60)
        (ticket,) = await tickets_of(stack)

    assert mail["Subject"] == "[Andon] Too much work in Appointment scheduled (Sales pipeline)"
    assert mail["To"][0]["Address"] == "sales@example.org"
    assert ticket["title"] == "Too much work in Appointment scheduled"


async def test_prometheus_scrapes_every_service(stack: Stack) -> None:
    async with httpx.AsyncClient(timeout=20) as client:

        async def up() -> set[str]:
            answer = await client.get(
                f"{stack.url('PROMETHEUS')}/api/v1/query", params={"query": 'up{job="andon"} == 1'}
            )
            return {one["metric"]["service"] for one in answer.json()["data"]["result"]}

        await eventually(up, lambda found: found == SERVICES, 60)
        rules = (await client.get(f"{stack.url('PROMETHEUS')}/api/v1/rules")).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}


async def test_killed_services_restart_and_lose_nothing(stack: Stack) -> None:
    stack.compose("kill", "-s", "KILL", *SERVICES - {"intake"})
    await asyncio.to_thread(stack.up, 120)
    tickets = await tickets_of(stack)

    assert [ticket["title"] for ticket in tickets] == ["Too much work in Appointment scheduled"]


def test_no_service_and_no_reader_is_a_superuser(stack: Stack) -> None:
    sql = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolname LIKE 'andon%'"
    query = ["exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "andon", "-At", "-c"]

    assert stack.compose(*query, sql) == ""
    assert (
        stack.compose(*query, "SELECT count(*) FROM pg_roles WHERE rolname = 'andon_report' AND rolcanlogin") == "1\n"
    )


def test_each_service_signs_in_with_its_role(stack: Stack) -> None:
    sql = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'andon-%'"
    found = stack.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "andon", "-At", "-c", sql)

    assert set(found.split()) == {role_of(service) for service in SCHEMAS}


@pytest.mark.parametrize(
    "name",
    [
        *("GRAFANA_PASSWORD", "REPORT_PASSWORD", "POSTGRES_PASSWORD", "POSTGRES_ADMIN_PASSWORD"),
        *(f"POSTGRES_{service.upper()}_PASSWORD" for service in SCHEMAS),
    ],
)
def test_compose_refuses_to_start_without_a_password(stack: Stack, name: str, tmp_path: Path) -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    filled = [f"{line}x" if line.endswith("PASSWORD=") and line != f"{name}=" else line for line in lines]
    (tmp_path / "env").write_text("\n".join(filled))
    command = ["docker", "compose", "--env-file", str(tmp_path / "env"), "config", "--quiet"]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode != 0
    assert f"required variable {name} is missing a value: set it in .env" in ended.stderr
