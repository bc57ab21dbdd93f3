"""docker-compose.yml on a container engine: installed by its script, confined, and whole again after every blow."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS
from tests.containers.stack import (
    NEEDS_ENGINE,
    SERVICES,
    Stack,
    creations,
    deals_of,
    first_mail,
    post,
    running,
    tickets_of,
)
from tests.support.waiting import eventually

pytestmark = NEEDS_ENGINE
OWNER = "boss@example.org"
TITLE = "Too much work in Appointment scheduled"
MOUNTED_BY_THE_ENGINE = (
    *("/dev/shm", "/dev/console", "/dev/pts", "/dev/mqueue", "/proc", "/sys", "/run/secrets"),
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/usr/sbin/docker-init"),
)
RUNNING = sorted(SERVICES | {"kafka", "postgres", "mailpit", "backup"})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("compose"), [], {}, "--owner", OWNER) as found:
        yield found


def in_postgres(stack: Stack, sql: str) -> list[str]:
    query = ["exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "andon", "-At", "-c"]
    return stack.compose(*query, sql).splitlines()


async def test_a_webhook_leads_to_a_ticket_and_a_mail(stack: Stack) -> None:
    mail = await first_mail(stack)
    (ticket,) = await tickets_of(stack)

    assert mail["Subject"] == f"[Andon] {TITLE} (Sales pipeline)"
    assert mail["To"][0]["Address"] == "sales@example.org"
    assert ticket["title"] == TITLE
    assert OWNER in stack.compose("exec", "-T", "tickets", "andon", "user", "list")


@pytest.mark.parametrize("service", RUNNING)
def test_the_engine_confines_every_container(stack: Stack, service: str) -> None:
    found = stack.inspect(service)
    host = found["HostConfig"]

    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"]
    assert not host["Privileged"]
    assert int(found["Config"]["User"].partition(":")[0]) > 0
    assert min(host["Memory"], host["PidsLimit"], host["NanoCpus"]) > 0
    assert host["LogConfig"]["Config"] == {"max-size": "20m", "max-file": "5"}
    status = stack.run("exec", "-T", service, "sh", "-c", "cat /proc/1/status; echo x >/written && echo written")
    lines = set(status.stdout.splitlines())
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} <= lines
    assert "written" not in lines


def test_no_file_is_written_outside_of_volumes(stack: Stack) -> None:
    """What the engine itself makes are the places where it mounts something."""
    for service in RUNNING:
        found = stack.inspect(service)
        mounted = [one["Destination"] for one in found["Mounts"]] + list(found["HostConfig"]["Tmpfs"])
        places = (*mounted, *MOUNTED_BY_THE_ENGINE)

        changed = [line.split(" ", 1)[1] for line in stack.engine("diff", found["Id"]).splitlines()]

        assert not [path for path in changed if not any(f"{place}/".startswith(f"{path}/") for place in places)], (
            service
        )


def test_networks_keep_apart_who_has_nothing_to_do_with_each_other(stack: Stack) -> None:
    def reaches(service: str, host: str, port: int) -> bool:
        command = f"import socket; socket.create_connection(('{host}', {port}), 3)"
        return stack.run("exec", "-T", service, "python", "-c", command).returncode == 0

    assert reaches("intake", "kafka", 9092)
    assert not reaches("intake", "postgres", 5432)
    assert reaches("detector", "postgres", 5432)
    assert stack.run("exec", "-T", "mailpit", "bash", "-c", "</dev/tcp/kafka/9092").returncode != 0
    assert stack.run("exec", "-T", "kafka", "bash", "-c", "</dev/tcp/mailpit/1025").returncode != 0


def test_no_service_and_no_reader_is_a_superuser_and_each_signs_in_with_its_role(stack: Stack) -> None:
    readers = "SELECT count(*) FROM pg_roles WHERE rolname = 'andon_report' AND rolcanlogin"
    signed_in = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'andon-%'"

    assert in_postgres(stack, "SELECT rolname FROM pg_roles WHERE rolsuper AND rolname LIKE 'andon%'") == []
    assert in_postgres(stack, readers) == ["1"]
    assert set(in_postgres(stack, signed_in)) - {"andon"} == {role_of(service) for service in SCHEMAS}


@pytest.mark.parametrize("name", ["grafana", "postgres_owner", "postgres_detector"])
def test_compose_refuses_to_start_without_a_password(stack: Stack, name: str, tmp_path: Path) -> None:
    passwords = shutil.copytree(stack.folder / "deploy" / "passwords", tmp_path / "passwords")
    (passwords / name).unlink()
    (passwords / name).touch()
    setting = {"PASSWORDS_FOLDER": str(passwords)}

    ended = stack.run("run", "--rm", "-T", "--no-deps", "setup", settings=setting)
    (passwords / name).unlink()
    without = stack.run("run", "--rm", "-T", "--no-deps", "setup", settings=setting)

    assert (ended.returncode, f"password {name} is empty: run deploy/install.sh" in ended.stderr) == (1, True)
    assert (without.returncode != 0, str(passwords / name) in without.stderr) == (True, True)


async def test_each_container_may_freeze(stack: Stack) -> None:
    before, number = await deals_of(stack), 0
    for number, service in enumerate(RUNNING, 1):
        stack.compose("pause", service)
        posted = asyncio.create_task(post(stack, creations(1, number * 1000)))
        await asyncio.sleep(1)
        stack.compose("unpause", service)
        await posted

    await eventually(lambda: deals_of(stack), lambda count: count == before + number, 60)


async def test_a_container_at_the_limit_of_its_memory_comes_back(stack: Stack) -> None:
    """A process that takes all the memory that there is for the container: the engine ends it, or the service."""
    greedy = "head -c 4G /dev/zero | tail"
    for service in ("intake", "detector", "mailpit"):
        assert stack.run("exec", "-T", service, "sh", "-c", greedy).returncode != 0
    stack.up(*RUNNING)
    before = await deals_of(stack)
    await post(stack, creations(1, 50_000))

    await eventually(lambda: deals_of(stack), lambda count: count == before + 1, 60)


async def test_killed_containers_lose_nothing_and_install_starts_them_again(stack: Stack) -> None:
    before = await deals_of(stack)
    await post(stack, creations(1, 60_000))
    stack.compose("kill", "-s", "KILL", *RUNNING)

    stack.install()

    await eventually(lambda: deals_of(stack), lambda count: count == before + 1, 60)
    assert [ticket["title"] for ticket in await tickets_of(stack)] == [TITLE]


async def test_prometheus_scrapes_every_service_and_knows_of_the_backup(stack: Stack) -> None:
    stack.up("prometheus")
    async with httpx.AsyncClient(base_url=stack.url("PROMETHEUS"), timeout=20) as client:

        async def results(query: str) -> list[dict[str, dict[str, str]]]:
            answer = await client.get("/api/v1/query", params={"query": query})
            return list(answer.json()["data"]["result"])

        async def up() -> set[str]:
            return {one["metric"]["service"] for one in await results('up{job="andon"} == 1')}

        await eventually(up, lambda found: found == SERVICES, 60)
        recent = "time() - max(andon_backup_last_success_timestamp_seconds) < 3600"
        await eventually(lambda: results(recent), bool, 60)
        rules = (await client.get("/api/v1/rules")).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}


def test_a_backup_onto_a_full_disk_says_so_and_leaves_nothing(stack: Stack) -> None:
    volume = f"{stack.project}-small"
    options = ("type=tmpfs", "device=tmpfs", "o=size=24k,uid=10001")
    stack.engine("volume", "create", *(part for option in options for part in ("--opt", option)), volume)
    try:
        mounted = ["run", "--rm", "-T", "--no-deps", "-v", f"{volume}:/small"]
        ended = stack.run(*mounted, "andon", "backup", "/small")
    finally:
        stack.engine("volume", "rm", "-f", volume)

    assert ended.returncode == 1
    assert "No space left on device; no backup was made" in ended.stderr
    made = stack.compose("exec", "-T", "backup", "sh", "-c", "ls /var/backups/andon").split()
    assert made
    assert not [name for name in made if name.endswith(".partial")]


def test_the_image_holds_nothing_to_install_or_compile_with(stack: Stack) -> None:
    for program in ("pip", "pip3", "gcc", "cc"):
        assert stack.run("exec", "-T", "detector", "sh", "-c", f"command -v {program}").returncode != 0
    assert stack.run("exec", "-T", "detector", "python", "-m", "pip").returncode != 0
    image = stack.image("andon:local")
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Andon"
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "andon-ready"]
    assert stack.own_bytes("andon:local") < 260_000_000
