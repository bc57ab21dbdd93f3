"""Kafka and Postgres of a test run: given by the environment, started as containers, or embedded."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.demo.kafka import Kafka
from services.demo.ports import free_port
from services.demo.postgres import Postgres

# No test cuts the power: what was committed survives a killed server without these. Each test's database is small and
# short-lived, so cleaning up hundreds of them is lost labour.
POSTGRES_OPTIONS = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off")


def engine_answers() -> bool:
    """Whether a container engine responds."""
    if os.environ.get("ANDON_TEST_EMBEDDED") == "1" or shutil.which("docker") is None:
        return False
    # The reaper would need another image; the test run stops its containers itself.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def kafka_address(folder: Path) -> Iterator[str]:
    """Bootstrap address of a broker."""
    if given := os.environ.get("ANDON_TEST_KAFKA"):
        yield given
    elif engine_answers():
        yield from _kafka_container()
    else:
        server = Kafka(folder / "kafka")
        try:
            server.start()
            yield server.bootstrap
        finally:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def postgres_dsn(folder: Path, options: Sequence[str] = POSTGRES_OPTIONS) -> Iterator[str]:
    """DSN of a user who may create databases. `options` of a server that is started here."""
    if given := os.environ.get("ANDON_TEST_POSTGRES"):
        yield given
    elif engine_answers():
        from testcontainers.community.postgres import PostgresContainer

        # As many as our own server allows: each test process keeps several pools.
        command = ["postgres", "-c", "max_connections=200", *options]
        with PostgresContainer("postgres:18", driver=None).with_command(" ".join(command)) as container:
            yield container.get_connection_url()
    else:
        server = Postgres(folder / "postgres", options=options)
        try:
            server.start()
            yield server.dsn
        finally:
            server.stop()
            server.remove()


def _kafka_container() -> Iterator[str]:
    """apache/kafka must know its advertised address before it starts, so a free port is mapped to itself."""
    from testcontainers.core.container import DockerContainer

    port = free_port()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_MESSAGE_MAX_BYTES": "4194304",
    }
    container = DockerContainer("apache/kafka:4.3.1").with_bind_ports(port, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    with container:
        asyncio.run(_until_ready(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}"


async def _until_ready(bootstrap: str, within: float = 60) -> None:
    """Ask the broker: its port opens before it is ready, and its log lines depend on settings."""
    deadline = time.monotonic() + within
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await admin.start()
            return
        except KafkaError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        finally:
            await admin.close()
