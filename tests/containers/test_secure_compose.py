"""docker-compose.secure.yml on a container engine: every client signs in over TLS, and a webhook leads to a mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import NEEDS_ENGINE, Stack, first_mail, running

pytestmark = NEEDS_ENGINE
# Programs of the published image that a stand-in of it may lack.
PROGRAMS = {
    "/opt/kafka/bin/kafka-storage.sh": "exec java -cp '/opt/kafka/libs/*' kafka.tools.StorageTool \"$@\"",
    "/opt/kafka/bin/kafka-server-start.sh": "exec java -Xmx512m -cp '/opt/kafka/libs/*' kafka.Kafka \"$@\"",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("secure")
    files = [Path("docker-compose.secure.yml"), programs(tmp_path_factory.mktemp("programs"))]
    with running(folder, files, {}, "--secure") as found:
        yield found


def programs(folder: Path) -> Path:
    """A compose file that adds the programs to the broker's container."""
    lines = ["services:", "  kafka:", "    volumes:"]
    for path, text in PROGRAMS.items():
        file = folder / Path(path).name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        lines.append(f'      - "{file}:{path}:ro"')
    found = folder / "programs.yml"
    found.write_text("\n".join(lines) + "\n")
    return found


async def test_a_webhook_leads_to_a_mail_over_tls_and_passwords(stack: Stack) -> None:
    mail = await first_mail(stack)

    assert mail["Subject"] == "[Andon] Too much work in Appointment scheduled (Sales pipeline)"


@pytest.mark.parametrize(
    ("user", "file"), [("andon-tickets", "/etc/hostname"), ("andon-nobody", "/run/secrets/kafka_tickets")]
)
def test_who_has_no_password_gets_no_answer(stack: Stack, user: str, file: str) -> None:
    settings = ["-e", f"ANDON_KAFKA_USER={user}", "-e", f"ANDON_KAFKA_PASSWORD_FILE={file}"]

    ended = stack.run("exec", "-T", *settings, "tickets", "andon", "topics", "create")

    assert ended.returncode != 0
    assert "SASL" in ended.stderr + ended.stdout or "password" in ended.stderr + ended.stdout


def test_a_service_may_not_make_topics(stack: Stack) -> None:
    ended = stack.run("exec", "-T", "-e", "ANDON_TOPIC_PREFIX=new.", "tickets", "andon", "topics", "create")

    assert ended.returncode != 0
    assert "andon-tickets may not use a topic" in ended.stderr


def test_no_log_keeps_a_key_of_a_password(stack: Stack) -> None:
    log = stack.compose("logs", "kafka", "setup")

    assert "granted: " in log
    assert "storedKey" not in log
