"""`andon doctor` and `andon support-bundle`, on a real Kafka, Postgres and mail server, with faults that are made."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from jsonschema import validate
from typer.testing import CliRunner, Result

from services.cli.doctor.check import Check, Site
from services.cli.doctor.checks import crm, mail
from services.cli.main import app
from services.demo.ports import free_port
from shared.contracts.topics import EVENTS, NOW, RECEIVED
from shared.runtime.settings import ServiceSettings
from tests.support.crms.hubspot import FakeHubSpot
from tests.support.databases import PASSWORD, as_service
from tests.support.problems import POLICY
from tests.support.processes import ServiceProcess
from tests.support.sink import Sink, sink
from tests.support.topics import make_anew

SOURCES = "sources:\n  crm: {kind: cloudevents, secrets: [the-secret-of-the-source]}\n"
SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "doctor.json"
GOOD, LOOK, BAD = "good", "look", "bad"
Lines = dict[str, dict[str, Any]]


@pytest.fixture
def mails() -> Iterator[Sink]:
    with sink() as server:
        yield server


@pytest.fixture
def installation(
    dsn: str, kafka: str, prefix: str, mails: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of an installation whose services do not run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "sources.yaml").write_text(SOURCES)
    given = {"POSTGRES": dsn, "KAFKA": kafka, "TOPIC_PREFIX": prefix, "SMTP_HOST": "127.0.0.1"}
    for name, value in (given | {"SMTP_PORT": str(mails.port)}).items():
        monkeypatch.setenv(f"ANDON_{name}", value)
    return tmp_path


async def andon(*words: str) -> Result:
    """The command, in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(words))


async def doctor(*words: str) -> Lines:
    """Its lines by subject."""
    result = await andon("doctor", "--json", "--free", "0", *words)
    report = json.loads(result.stdout)
    validate(report, json.loads(SCHEMA.read_text()))
    assert result.exit_code == [GOOD, LOOK, BAD].index(report["health"])
    return {finding["subject"]: finding for check in report["checks"] for finding in check["findings"]}


async def only(check: Check, mail_to: str = "") -> Lines:
    """The lines of one check."""
    found = await check.run(Site(ServiceSettings.from_environment(), {}, mail_to=mail_to))
    return {finding.subject: asdict(finding) for finding in found}


def healths(lines: Lines, health: str) -> set[str]:
    return {subject for subject, finding in lines.items() if finding["health"] == health}


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def produce(kafka: str, topic: str, timestamp_ms: int | None = None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, b"{}", partition=0, timestamp_ms=timestamp_ms)
    await producer.stop()


@contextmanager
def hanging_port() -> Iterator[int]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("installation")
async def test_an_installation_that_is_well_has_no_bad_line(mails: Sink) -> None:
    lines = await doctor()

    assert healths(lines, BAD) == set()
    assert {
        "Kafka",
        "Postgres",
        "topics",
        "schema flow",
        "detector reads",
        "clocks",
        "mail server",
        "policy",
    } <= healths(lines, GOOD)
    # Nobody runs them here.
    assert {"tickets", "intake", "detector"} <= healths(lines, LOOK)
    assert mails.contents == 0


@pytest.mark.usefixtures("installation")
async def test_a_table_is_printed_for_people() -> None:
    result = await andon("doctor", "--free", "100")

    assert result.exit_code == 2
    assert "bad" in result.stdout
    assert "DiskFull" in result.stdout
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("installation")
async def test_topics_that_are_not_as_wanted_are_named(kafka: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([prefix + RECEIVED])
    await admin.close()
    kept = {"retention.ms": "-1", "max.message.bytes": "2097152"}
    await make_anew(kafka, NewTopic(prefix + EVENTS, 1, 1, topic_configs=kept))
    await make_anew(kafka, NewTopic(prefix + NOW, 1, 1, topic_configs={"max.message.bytes": "4194304"}))

    lines = await doctor()

    found = {name: lines[f"topic {prefix}{name}"] for name in (RECEIVED, EVENTS, NOW)}
    assert healths(lines, BAD) == {f"topic {prefix}{name}" for name in found}
    assert found[RECEIVED]["todo"] == "run: andon topics create"
    assert found[EVENTS]["text"] == "has 1 partitions and needs 4"
    assert found[NOW]["text"] == "cleanup.policy is delete, and must be compact"
    assert f"--topic {prefix}{NOW} --add-config cleanup.policy=compact" in found[NOW]["todo"]


@pytest.mark.usefixtures("installation")
async def test_a_partition_that_nobody_reads_is_bad(dsn: str, kafka: str, prefix: str) -> None:
    await produce(kafka, prefix + EVENTS)

    unread = await doctor()
    await execute(dsn, f"INSERT INTO flow.position VALUES ('{prefix}{EVENTS}', 0, 1, 0, 0, 0)")
    read = await doctor()

    assert healths(unread, BAD) == {"detector reads"}
    assert f"{prefix}{EVENTS}/0: 1 records wait" in unread["detector reads"]["text"]
    assert healths(read, BAD) == set()


@pytest.mark.usefixtures("installation")
async def test_schemas_and_rights_that_differ_are_named(dsn: str) -> None:
    newest = "(SELECT max(name) FROM flow.schema_migrations)"
    await execute(dsn, f"DELETE FROM flow.schema_migrations WHERE name = {newest}")
    await execute(dsn, "INSERT INTO crm.schema_migrations (name, digest) VALUES ('9999_later.sql', '')")
    await execute(dsn, "REVOKE INSERT ON tickets.outbox FROM andon_tickets")

    lines = await doctor()

    assert healths(lines, BAD) == {"schema flow", "schema crm", "role andon_tickets"}
    assert lines["schema flow"]["todo"] == "run: andon migrate"
    assert "newer" in lines["schema crm"]["text"]
    assert lines["role andon_tickets"]["text"] == "has no right to INSERT on tickets.outbox"


@pytest.mark.usefixtures("installation")
async def test_a_service_role_sees_its_own_and_no_more(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_POSTGRES", as_service(dsn, "detector"))

    lines = await doctor()

    assert healths(lines, BAD) == set()
    assert lines["user of Postgres"]["text"] == "andon_detector, no superuser"
    assert {"schema flow", "detector reads"} <= healths(lines, GOOD)
    assert {"schema crm", "tickets reads"} <= healths(lines, LOOK)


ADDRESSES = {"ANDON_KAFKA": "127.0.0.1:{}", "ANDON_POSTGRES": "postgresql://andon@127.0.0.1:{}/andon"}


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(("setting", "subject"), [("ANDON_KAFKA", "Kafka"), ("ANDON_POSTGRES", "Postgres")])
async def test_a_server_that_is_away_is_one_bad_line(
    setting: str, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, ADDRESSES[setting].format(free_port()))

    away = await doctor()

    assert healths(away, BAD) == {subject}
    assert "nothing listens there" in away[subject]["text"]


@pytest.mark.usefixtures("installation")
async def test_servers_that_hang_are_one_bad_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging_port() as port:
        for setting, address in (ADDRESSES | {"ANDON_SMTP_PORT": "{}"}).items():
            monkeypatch.setenv(setting, address.format(port))
        hang = await doctor("--service", f"tickets=http://127.0.0.1:{port}", "--prometheus", f"http://127.0.0.1:{port}")

    assert healths(hang, BAD) == {"Kafka", "Postgres", "mail server", "tickets", "Prometheus"}
    assert all("no answer within" in hang[subject]["text"] for subject in healths(hang, BAD))


@pytest.mark.usefixtures("installation")
async def test_a_mail_server_that_refuses_is_bad(mails: Sink) -> None:
    mails.answers["EHLO"] = "554 not you"

    lines = await doctor()

    assert healths(lines, BAD) == {"mail server"}
    assert "554 not you" in lines["mail server"]["text"]


@pytest.mark.usefixtures("installation")
async def test_a_test_mail_goes_out_only_when_asked_for(mails: Sink) -> None:
    asked_nothing = await only(mail.CHECK)
    sent = await only(mail.CHECK, "me@sales.example")
    mails.answers["RCPT"] = "550 unknown"
    refused = await only(mail.CHECK, "me@sales.example")

    assert "test mail" not in asked_nothing
    assert [one["To"] for one in mails.mails] == ["me@sales.example"]
    assert sent["test mail"]["health"] == GOOD
    assert "550 unknown" in refused["test mail"]["text"]
    assert (await andon("doctor", "--mail", "nobody")).exit_code == 2


async def test_faulty_files_and_times_in_the_future_are_told(installation: Path, kafka: str, prefix: str) -> None:
    (installation / "policy.yaml").write_text(POLICY.replace("limit: 10d", "limit: 10"))
    (installation / "sources.yaml").write_text("sources:\n  crm: {kind: unknown}\n")
    await produce(kafka, prefix + RECEIVED, int((time.time() + 3600) * 1000))

    lines = await doctor()

    assert healths(lines, BAD) == {"policy policy.yaml", "sources file", "clocks of writers"}
    assert "limit" in lines["policy policy.yaml"]["text"]


async def test_the_api_of_a_crm_is_asked(installation: Path) -> None:
    fake = FakeHubSpot()
    fake.start()
    try:
        api = json.dumps(fake.api)
        (installation / "sources.yaml").write_text(
            "sources:\n  eu: {kind: hubspot, public_url: https://hooks.example, secrets: [the-secret-of-the-app],"
            f" api: {api}}}\n"
        )
        answers = await only(crm.CHECK)
        fake.allowed = False
        refuses = await only(crm.CHECK)
    finally:
        fake.stop()
    away = await only(crm.CHECK)

    assert [lines["API of eu"]["health"] for lines in (answers, refuses, away)] == [GOOD, BAD, BAD]
    assert "docs/sources/hubspot.md" in refuses["API of eu"]["todo"]


async def test_settings_that_cannot_be_read_are_one_line_each(
    installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_NO_SUCH", "x")

    lines = await doctor()

    assert [line["text"][:13] for line in lines.values()] == ["ANDON_NO_SUCH"]
    assert (await andon("support-bundle", str(installation / "b.tar.gz"))).exit_code == 1


SECRETS = {
    "ANDON_SMTP_PASSWORD": "secret-of-mail",
    "ANDON_NOTIFIER_BOUNCE_IMAP_PASSWORD": "secret-of-imap",
    "ANDON_LINK_KEYS": "secret-of-links-0123456789abcdef",
    "ANDON_REPORT_PASSWORD": "secret-of-report",
    "ANDON_ROLE_TICKETS_PASSWORD": "secret-of-role",
    "CRM_TOKEN": "secret-of-the-crm",
}


def set_secrets(folder: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Set a secret wherever there may be one, with servers that refuse them; all of them."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ANDON_SMTP_USERNAME", "andon")
    monkeypatch.setenv("ANDON_POSTGRES", as_service(dsn, "detector"))
    monkeypatch.setenv("ANDON_TICKETS_URL", "https://me:secret-in-url@tickets.example")
    api = "api: {token: env:CRM_TOKEN, url: 'http://127.0.0.1:1'}"
    (folder / "sources.yaml").write_text(
        "sources:\n  eu: {kind: hubspot, public_url: https://hooks.example, secrets: [secret-of-the-source],"
        f" {api}}}\n"
    )
    return [*SECRETS.values(), PASSWORD, "secret-in-url", "secret-of-the-source"]


async def test_no_secret_is_shown(installation: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = set_secrets(installation, dsn, monkeypatch)

    shown = [(await andon("doctor", *words)).output for words in ((), ("--json",))]
    monkeypatch.setenv("ANDON_POSTGRES", os.environ["ANDON_POSTGRES"].replace("andon_detector", "nobody"))
    shown.append((await andon("doctor")).output)

    assert "API of eu" in shown[0]
    assert [secret for secret in secrets for text in shown if secret in text] == []


async def test_a_bundle_lists_what_it_holds_and_holds_no_secret(
    installation: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = set_secrets(installation, dsn, monkeypatch)
    log, file = installation / "tickets.log", installation / "bundle.tar.gz"
    log.write_text(f'{{"event": "started"}}\n{" ".join(secrets)}\nAuthorization: Bearer unknown-to-us\n')

    result = await andon("support-bundle", str(file), "--log", str(log))
    again = await andon("support-bundle", str(file))

    assert result.exit_code == 0, result.output
    assert again.exit_code == 1
    with tarfile.open(file) as archive:
        texts = {m.name.removeprefix("andon-support/"): archive.extractfile(m).read().decode() for m in archive}  # type: ignore[union-attr]
    names = {"doctor.json", "settings.json", "topics.json", "schemas.json", "tables.json", "logs/1-tickets.log"}
    # A demo that runs beside the tests shows its metrics, too.
    assert {name for name in texts if not name.startswith("metrics/")} == names
    assert all(name in result.stdout for name in names)
    assert [(name, s) for name, text in texts.items() for s in [*secrets, "unknown-to-us"] if s in text] == []
    assert "started" in texts["logs/1-tickets.log"]
    assert len(json.loads(texts["topics.json"])["topics"]) > 20
    assert file.stat().st_mode & 0o077 == 0


async def test_services_that_answer_tell_what_is_refused(installation: Path, kafka: str, prefix: str) -> None:
    environment = {"ANDON_KAFKA": kafka, "ANDON_TOPIC_PREFIX": prefix, "ANDON_SOURCES": "sources.yaml"}
    intake = ServiceProcess("intake", environment, installation).start().ready()
    file = installation / "bundle.tar.gz"
    try:
        async with httpx.AsyncClient() as client:
            headers = {"Authorization": "Bearer a-wrong-secret"}
            statuses = {
                (await client.post(f"{intake.url}/v1/ingest/crm", headers=headers, content=b"{}")).status_code
                for _ in range(3)
            }
        lines = await doctor("--service", f"intake={intake.url}")
        result = await andon("support-bundle", str(file), "--service", f"intake={intake.url}")
    finally:
        intake.stop()

    assert statuses == {401}
    assert lines["intake"]["health"] == GOOD
    assert healths(lines, BAD) == {"source crm"}
    assert "RequestsRefused" in lines["source crm"]["todo"]
    assert "metrics/intake.txt" in result.stdout
