"""`andon backup` and `andon restore` on a real Kafka and Postgres, with real services before and after."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.postgres.roles import grant_roles
from tests.support.databases import PASSWORDS, as_service, drop_database, new_database
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink
from tests.support.sink import sink as running_sink
from tests.support.waiting import eventually

SERVICES = ("detector", "tickets", "notifier")
POLICY = {
    "version": 1,
    "timezone": "UTC",
    "pipelines": {
        "p": {
            "name": "Sales",
            "owner": {"name": "O", "mail": "o@x.example"},
            "stages": [{"id": "a"}, {"id": "b"}],
            "rules": [
                {"kind": "wip-high", "stage": "a", "max": 2},
                {"kind": "wip-high", "stage": "b", "max": 0},
            ],
        }
    },
}
_TICKETS = "SELECT id, key, state FROM tickets.ticket ORDER BY id"
_VISITS = "SELECT count(*) FROM flow.visit"


def moved(deal: int, stage: str) -> OutgoingMessage:
    """A deal that came into a stage a moment ago."""
    at = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    subject = f"s:{deal}"
    event = {
        "specversion": "1.0",
        "id": f"{deal}-{stage}",
        "source": "s",
        "type": "andon.deal.created",
        "subject": subject,
        "time": at,
        "receivedat": at,
        "data": {"pipeline": "p", "stage": stage},
    }
    return OutgoingMessage(EVENTS, subject.encode(), json.dumps(event).encode())


class Installation:
    """A database, topics and services."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path, smtp_port: int) -> None:
        self.kafka, self.dsn, self.prefix = kafka, dsn, prefix
        self.environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(folder / "policy.yaml"),
            "ANDON_SMTP_PORT": str(smtp_port),
        }
        self.services = [
            ServiceProcess(name, self.environment | {"ANDON_POSTGRES": as_service(dsn, name)}, folder)
            for name in SERVICES
        ]

    def start(self) -> None:
        for service in self.services:
            service.start()
        for service in self.services:
            service.ready()

    def stop(self) -> None:
        for service in self.services:
            service.stop()

    async def publish(self, *messages: OutgoingMessage) -> None:
        publisher = Publisher(KafkaAccess(self.kafka))
        await publisher.publish_all([m._replace(topic=self.prefix + m.topic) for m in messages])
        await publisher.stop()

    async def run(self, *arguments: str) -> Result:
        environment = self.environment | {"ANDON_POSTGRES": self.dsn}
        return await asyncio.to_thread(CliRunner(env=environment).invoke, app, list(arguments))

    async def backup(self, target: Path) -> Path:
        made = await self.run("backup", str(target))
        assert made.exit_code == 0, made.output
        return Path(made.stdout.strip())

    async def fetch(self, query: str) -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(self.dsn)
        rows = await connection.fetch(query)
        await connection.close()
        return [tuple(row) for row in rows]

    async def tickets(self) -> list[tuple[object, ...]]:
        return await self.fetch(_TICKETS)

    async def visits(self) -> int:
        ((count,),) = await self.fetch(_VISITS)
        assert isinstance(count, int)
        return count

    async def has_judged(self) -> bool:
        """Whether nothing is on its way between the services."""
        return not any(
            [(await self.fetch(f"SELECT EXISTS (SELECT FROM {schema}.outbox)"))[0][0] for schema in ("flow", "tickets")]
        )


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as made:
        yield made


@pytest.fixture
async def first(kafka: str, prefix: str, dsn: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Installation]:
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    made = Installation(kafka, dsn, prefix, tmp_path, sink.port)
    yield made
    made.stop()


@pytest.fixture
async def second(
    kafka: str, postgres: str, tmp_path: Path, sink: Sink, first: Installation
) -> AsyncIterator[Installation]:
    """Nothing is in it, not even tables and topics."""
    dsn = await new_database(postgres)
    made = Installation(kafka, dsn, f"r{secrets.token_hex(4)}.", tmp_path, sink.port)
    yield made
    made.stop()
    await drop_database(postgres, dsn)


async def fill(installation: Installation, sink: Sink) -> None:
    """Three deals in a stage for two: one ticket, and one mail about it."""
    installation.start()
    await installation.publish(*(moved(deal, "a") for deal in range(3)))
    await eventually(installation.tickets, lambda found: len(found) == 1)

    async def mails() -> int:
        return len(sink.raw)

    await eventually(mails, lambda count: count == 1)
    await asyncio.sleep(0.5)


async def one_more_mail(sink: Sink, before: int) -> None:
    """Wait for a mail, and a second longer for another, which must not come."""

    async def mails() -> int:
        return len(sink.raw)

    await eventually(mails, lambda count: count > before)
    await asyncio.sleep(1)
    assert len(sink.raw) == before + 1


async def backup_under_load(installation: Installation, target: Path) -> tuple[Path, int]:
    """The backup, and how many deals there were when it was finished."""
    count, ended = 3, asyncio.Event()

    async def publish() -> None:
        nonlocal count
        while not ended.is_set():
            await installation.publish(moved(count, "a"))
            count += 1

    publishing = asyncio.create_task(publish())
    try:
        return await installation.backup(target), count
    finally:
        ended.set()
        with suppress(asyncio.CancelledError):
            await publishing


async def grant(installation: Installation) -> None:
    """As `andon migrate`, with the passwords of the tests' roles."""
    await grant_roles(installation.dsn, PASSWORDS)


async def test_a_backup_under_load_goes_on_elsewhere_with_the_same_tickets_and_no_second_mail(
    first: Installation, second: Installation, sink: Sink, tmp_path: Path
) -> None:
    await fill(first, sink)
    backup, _ = await backup_under_load(first, tmp_path / "backups")
    first.stop()
    before, mails = await first.tickets(), len(sink.raw)

    restored = await second.run("restore", str(backup))

    assert restored.exit_code == 0, restored.output
    await grant(second)
    assert await second.tickets() == before
    # Nothing of the canary is in a backup; its tables are made.
    assert await second.fetch("SELECT count(*) FROM flow_canary.event") == [(0,)]
    assert not [file for file in (backup / "postgres").iterdir() if "canary" in file.name]
    second.start()
    await second.publish(moved(9999, "b"))
    found = await eventually(second.tickets, lambda found: len(found) == 2)
    assert found[:1] == before
    in_log = sum(p["records"] for p in _manifest(backup)["partitions"] if p["topic"] == EVENTS)
    await eventually(second.visits, lambda count: count == in_log + 1)

    await one_more_mail(sink, mails)


async def test_kafka_lost_is_filled_beside_the_postgres_that_is_left(
    first: Installation, sink: Sink, tmp_path: Path
) -> None:
    await fill(first, sink)
    backup = await first.backup(tmp_path / "backups")
    await first.publish(moved(100, "a"))
    await eventually(first.visits, lambda count: count == 4)
    first.stop()
    before, mails = await first.tickets(), len(sink.raw)
    lost = Installation(first.kafka, first.dsn, f"r{secrets.token_hex(4)}.", tmp_path, sink.port)
    connection = await asyncpg.connect(first.dsn)
    for schema in ("flow", "analysis", "tickets", "notices", "crm"):
        # The tests share a broker: other names of topics stand for a broker that is empty.
        await connection.execute(
            f"UPDATE {schema}.position SET topic = replace(topic, '{first.prefix}', '{lost.prefix}')"
        )
    await connection.close()

    restored = await lost.run("restore", str(backup), "--lost", "kafka")

    assert restored.exit_code == 0, restored.output
    try:
        lost.start()
        await lost.publish(moved(101, "a"), moved(102, "b"))
        await eventually(lost.visits, lambda count: count == 6)
        assert (await eventually(lost.tickets, lambda found: len(found) == 2))[:1] == before
        await one_more_mail(sink, mails)
    finally:
        lost.stop()


async def test_postgres_lost_is_filled_beside_the_kafka_that_is_left(
    first: Installation, postgres: str, sink: Sink, tmp_path: Path
) -> None:
    await fill(first, sink)
    backup = await first.backup(tmp_path / "backups")
    await first.publish(moved(100, "a"))
    await eventually(first.visits, lambda count: count == 4)
    first.stop()
    before, mails = await first.tickets(), len(sink.raw)
    left = Installation(first.kafka, await new_database(postgres), first.prefix, tmp_path, sink.port)

    restored = await left.run("restore", str(backup), "--lost", "postgres")

    assert restored.exit_code == 0, restored.output
    await grant(left)
    try:
        left.start()
        await eventually(left.visits, lambda count: count == 4)
        assert await left.tickets() == before
        assert len(sink.raw) == mails
    finally:
        left.stop()
        await drop_database(postgres, left.dsn)


def _manifest(backup: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((backup / "manifest.json").read_bytes().partition(b"\n")[2])
    return found


async def test_what_is_no_whole_backup_is_refused(first: Installation, second: Installation, tmp_path: Path) -> None:
    backup = await first.backup(tmp_path / "backups")
    manifest = (backup / "manifest.json").read_bytes()

    async def refused(text: str) -> None:
        result = await second.run("restore", str(backup))
        assert (result.exit_code, text in " ".join(result.stderr.split())) == (1, True), result.output

    (backup / "manifest.json").unlink()
    await refused("is no whole backup")
    (backup / "manifest.json").write_bytes(manifest.replace(b'"format": 1', b'"format": 2'))
    await refused("is damaged: its checksum differs")
    body = manifest.partition(b"\n")[2]
    _write(backup, body.replace(b'"format": 1', b'"format": 2'))
    await refused("has format 2, and Andon")
    _write(backup, body.replace(b'"0001_flow.sql"', b'"0999_flow.sql"'))
    await refused("this version does not know; use that version or a newer one")
    _write(backup, body)
    table = backup / "postgres" / "flow.visit.gz"
    content = table.read_bytes()
    table.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    await refused("flow.visit.gz is damaged: its checksum differs")
    table.unlink()
    await refused("flow.visit.gz is missing")
    assert await second.fetch("SELECT 1 FROM pg_namespace WHERE nspname = 'flow'") == []


def _write(backup: Path, body: bytes) -> None:
    (backup / "manifest.json").write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


async def test_what_is_not_empty_is_refused(first: Installation, second: Installation, tmp_path: Path) -> None:
    await first.publish(moved(1, "a"))
    backup = await first.backup(tmp_path / "backups")

    same_topics = Installation(first.kafka, second.dsn, first.prefix, tmp_path, 1)
    topics = await same_topics.run("restore", str(backup))
    tables = await first.run("restore", str(backup))

    assert (topics.exit_code, "topics are not empty" in topics.stderr) == (1, True), topics.output
    # The backup itself was recorded there.
    assert (tables.exit_code, "the database is not empty (notices.backup)" in tables.stderr) == (1, True), tables.output
