"""Fixtures of the whole suite: one Kafka and one Postgres a session, a database and a topic prefix for each test."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.kafka.admin import create_topics
from tests.support import examples
from tests.support.servers import kafka_address, postgres_dsn

SHARED = Path(__file__).resolve().parents[2] / "shared"
_numbers = itertools.count(1)
examples.register()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of a real Kafka."""
    with kafka_address(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of a real Postgres on which databases may be made."""
    with postgres_dsn(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
async def dsn(postgres: str) -> str:
    """DSN of a fresh, empty database."""
    name = f"t{next(_numbers)}_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    return urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))


@pytest.fixture
async def prefix(kafka: str) -> str:
    """A prefix under which all topics have been made, so that tests share a broker without meeting."""
    name = f"t{next(_numbers)}-{secrets.token_hex(4)}."
    await create_topics(kafka, name)
    return name


@pytest.fixture(scope="session")
def bpic2012() -> Path:
    """The real event log; it may not be copied, so a stranger's clone lacks it."""
    folder = SHARED / "data" / "bpic2012"
    if not folder.exists():
        pytest.skip("the event log bpic2012 is not beside this clone (../shared/data/bpic2012)")
    return folder
