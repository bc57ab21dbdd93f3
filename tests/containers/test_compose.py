"""docker-compose.yml on a container engine: all services become healthy, and a webhook leads to a mail."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS
from tests.containers.stack import NEEDS_ENGINE, ROOT, SERVICES, Stack, first_mail, running, tickets_of
from tests.support.waiting import eventually

pytestmark = NEEDS_ENGINE


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("compose"), [ROOT / "docker-compose.yml"], {}) as found:
        yield found


async def test_a_webhook_leads_to_a_ticket_and_a_mail(stack: Stack) -> None:
    mail = await first_mail(stack)
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
