"""The secure installation's broker: who may not sign in, what each user may do, and the line from webhook to mail."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from aiokafka.conn import create_conn

from shared.contracts.rights import RIGHTS, TopicRights
from shared.contracts.topics import ALL_TOPICS, EVENTS, NOTICES, NOW, TICKETS
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.kafka.authorization import missing_rights
from shared.kafka.probe import KafkaRefused, KafkaUnreachable
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.kafka.topic_range import topic_range
from shared.runtime.instants import moment
from tests.support.processes import ServiceProcess
from tests.support.secure_kafka import OPERATOR, SecureKafka
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually
from tests.system.test_stage_names import POLICY, SOURCES, NamedStagesRun

pytestmark = pytest.mark.slow
PREFIX = "secure."
WITHIN = 120
# Patient, for a busy machine.
SECONDS = 20.0


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    server = SecureKafka(tmp_path_factory.mktemp("secure"))
    server.start(within_seconds=240)
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def topics(secure: SecureKafka) -> SecureKafka:
    await create_topics(secure.access(OPERATOR), PREFIX)
    return secure


def andon(secure: SecureKafka, *arguments: str, user: str = OPERATOR) -> subprocess.CompletedProcess[str]:
    """Run a command as a user."""
    environment = secure.environment(user) | {"ANDON_TOPIC_PREFIX": PREFIX, "COLUMNS": "200"}
    command = [sys.executable, "-m", "services.cli.main", *arguments]
    return subprocess.run(command, env=_plain() | environment, capture_output=True, text=True, check=False)


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}


async def fault(kafka: KafkaAccess) -> str:
    with pytest.raises(KafkaUnreachable) as caught:
        await probe.ping(kafka, SECONDS)
    return str(caught.value)


async def test_a_fault_of_the_connection_names_the_setting_to_change(secure: SecureKafka) -> None:
    bootstrap, ca, port = secure.bootstrap, secure.ca, secure.port

    await probe.ping(secure.access(OPERATOR), SECONDS)
    assert "does not accept user andon-operator" in await fault(secure.access(OPERATOR, "wrong"))
    assert "does not accept user nobody" in await fault(secure.access("nobody", "wrong"))
    assert "ANDON_KAFKA_CA_FILE" in await fault(KafkaAccess(bootstrap, "sasl_tls", OPERATOR, f"{OPERATOR}!"))
    other_name = KafkaAccess(f"127.0.0.2:{port}", "sasl_tls", OPERATOR, f"{OPERATOR}!", ca)
    assert "its certificate is not for 127.0.0.2" in await fault(other_name)
    for without_user in (KafkaAccess(bootstrap), KafkaAccess(bootstrap, "tls", ca=ca)):
        assert "ANDON_KAFKA_SECURITY" in await fault(without_user)


async def test_a_broker_without_tls_is_not_sent_a_password(kafka: str, secure: SecureKafka) -> None:
    found = await fault(KafkaAccess(kafka, "sasl_tls", OPERATOR, "a-password", secure.ca))

    assert "ANDON_KAFKA_SECURITY" in found


async def test_a_command_names_what_its_user_may_not_do(topics: SecureKafka) -> None:
    for arguments in (("topics", "create"), ("topics", "acl", "tickets", "--user", "andon-intake", "--apply")):
        result = await asyncio.to_thread(andon, topics, *arguments, user="andon-intake")

        assert result.returncode == 1
        assert "andon-intake may not" in result.stderr, result.stderr
        assert "Traceback" not in result.stderr


@pytest.fixture
async def line(topics: SecureKafka, dsn: str, tmp_path: Path) -> AsyncIterator[tuple[NamedStagesRun, Sink]]:
    """All services from intake to the mail server, each as its own user, started before they have any right."""
    (tmp_path / "sources.yaml").write_text(SOURCES)
    (tmp_path / "policy.yaml").write_text(json.dumps(POLICY))
    with ExitStack() as cleanup:
        server = cleanup.enter_context(sink())
        settings = {
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": PREFIX,
            "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
            "ANDON_POLICY": str(tmp_path / "policy.yaml"),
            "ANDON_SMTP_PORT": str(server.port),
        }
        run = NamedStagesRun(settings, tmp_path)
        services = {
            name: ServiceProcess(name, settings | topics.environment(f"andon-{name}"), tmp_path)
            for name in RIGHTS
            # Sends webhooks of its own.
            if name != "canary"
        }
        run.intake, run.detector, run.tickets = (services[name] for name in ("intake", "detector", "tickets"))
        for service in services.values():
            cleanup.callback(service.stop)
            service.start()
        for name, service in services.items():
            await eventually(partial(asyncio.to_thread, unready, service), _lacks(name), WITHIN)
        granted = await asyncio.to_thread(andon, topics, "topics", "acl", "--apply")
        assert granted.returncode == 0, granted.stderr
        for service in services.values():
            await asyncio.to_thread(service.ready)
        yield run, server


def _lacks(name: str) -> Callable[[str], bool]:
    return lambda text: f"andon topics acl {name} --user andon-{name} --apply" in text


def unready(service: ServiceProcess) -> str:
    """Why a service is not ready."""
    try:
        return service.get("/readyz")
    except urllib.error.HTTPError as error:
        return str(error.read().decode())
    except OSError:
        return ""


async def test_the_rights_suffice_from_webhook_to_mail(line: tuple[NamedStagesRun, Sink]) -> None:
    run, server = line
    await run.pipedrive("pipedrive-v2-stage-change.json", "2026-03-10T08:00:00.512Z", name="Offer sent")
    await eventually(lambda: run.page("/pipelines"), lambda page: "Offer sent" in page, WITHIN)
    await run.pipedrive("pipedrive-v2-deal-change-stage.json", "2026-03-10T09:00:00.724Z")

    async def raw() -> list[bytes]:
        return server.raw

    await eventually(raw, bool, WITHIN)


@pytest.fixture
async def granted(topics: SecureKafka) -> SecureKafka:
    """Every service has its rights, and the broker knows it."""
    result = await asyncio.to_thread(andon, topics, "topics", "acl", "--apply")
    assert result.returncode == 0, result.stderr

    async def lacking() -> bool:
        for name, rights in RIGHTS.items():
            try:
                await probe.check_rights(topics.access(f"andon-{name}"), name, rights, PREFIX, SECONDS)
            except KafkaRefused:
                return True
        return False

    await eventually(lacking, lambda lacks: not lacks, WITHIN)
    return topics


async def test_a_user_may_do_nothing_but_what_its_service_needs(granted: SecureKafka) -> None:
    every = tuple(topic.name for topic in ALL_TOPICS)
    groups = tuple(group for rights in RIGHTS.values() for group in rights.groups)
    for name, rights in RIGHTS.items():
        access = granted.access(f"andon-{name}")
        connection = await create_conn("127.0.0.1", granted.port, **access.connection_options())
        missing = await missing_rights(connection, TopicRights(groups, every, every), PREFIX)
        connection.close()

        # Dead letters have no dead letters of their own.
        existing = {one for one in missing if one.split()[1] == "group" or one.split(PREFIX)[1] in every}
        assert existing == {
            *(f"read topic {PREFIX}{topic}" for topic in set(every) - set(rights.readable)),
            *(f"write topic {PREFIX}{topic}" for topic in set(every) - set(rights.writes)),
            *(f"use group {PREFIX}{group}" for group in set(groups) - set(rights.groups)),
        }


async def test_a_service_reads_and_writes_what_is_its_own_only(granted: SecureKafka) -> None:
    access = granted.access("andon-notifier")
    publisher = Publisher(access, deadline_seconds=SECONDS)
    await publisher.publish_all([OutgoingMessage(PREFIX + NOTICES, b"1", b"{}")])
    # It may read the second, so it knows that the topic exists.
    for topic in (EVENTS, TICKETS):
        with pytest.raises(TimeoutError, match="TopicAuthorizationFailedError"):
            await publisher.publish_all([OutgoingMessage(PREFIX + topic, b"1", b"{}")])
    await publisher.stop()

    assert await read(access, NOW) >= 0
    for topic in (EVENTS, NOTICES):
        with pytest.raises(Exception, match="Authorization"):
            await read(access, topic)


async def read(access: KafkaAccess, topic: str) -> int:
    """How many records a topic has."""
    count = 0
    async with topic_range(access, PREFIX + topic, moment(0)) as held:
        async for _, records, _ in held.batches():
            count += len(records)
    return count


async def test_the_doctor_says_what_a_user_may_do(granted: SecureKafka) -> None:
    for user in (OPERATOR, "andon-tickets"):
        result = await asyncio.to_thread(andon, granted, "doctor", "--json", user=user)
        lines = {line["subject"]: line for check in json.loads(result.stdout)["checks"] for line in check["findings"]}

        assert (lines["Kafka"]["health"], lines["rights on Kafka"]["health"]) == ("good", "good")
        assert lines["topics"]["health"] == ("good" if user == OPERATOR else "look")
        assert user in lines["rights on Kafka"]["text"]
        assert f"{user}!" not in result.stdout + result.stderr
