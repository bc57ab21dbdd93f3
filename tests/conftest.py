"""Fixtures of the whole suite: one Kafka and Postgres for all workers, a database and a topic prefix for each test."""

from __future__ import annotations

import gc
import itertools
import secrets
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.testing

from shared.kafka.admin import create_topics
from tests.support import examples, outside
from tests.support.databases import migrated_database, new_database
from tests.support.servers import kafka_address, postgres_dsn
from tests.support.shared_server import shared

# Folders and files whose fixtures cost more than their tests: one worker runs each of them whole.
GROUPS = ("tests/browser", "tests/integration/deploy", "tests/integration/detector/test_store.py")
_numbers = itertools.count(1)
examples.register()
# Typer builds the tree of all commands at each invocation, which takes longer than the command itself.
typer.testing._get_command = cache(typer.testing._get_command)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for group in GROUPS:
            if item.nodeid.startswith(group):
                item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """Take the modules and tests out of the garbage collector's sight: it would walk them again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report what was skipped, and what was missing for it."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("not tested here", "-")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:5} {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for all workers of a run."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def kafka(run_folder: Path) -> Iterator[str]:
    """Bootstrap address of a real Kafka."""
    with shared(run_folder / "kafka", kafka_address) as address:
        yield address


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[str]:
    """DSN of a real Postgres on which databases may be made."""
    with shared(run_folder / "postgres", postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
async def dsn(postgres: str) -> str:
    """DSN of a fresh database with the tables of all services."""
    return await migrated_database(postgres)


@pytest.fixture
async def empty_dsn(postgres: str) -> str:
    """DSN of a fresh, empty database."""
    return await new_database(postgres)


@pytest.fixture
async def prefix(kafka: str) -> str:
    """A prefix under which all topics have been made, so that tests share a broker without meeting."""
    name = f"t{next(_numbers)}-{secrets.token_hex(4)}."
    await create_topics(kafka, name)
    return name


@pytest.fixture(scope="session")
def bpic2012() -> Path:
    """A real event log, with the problems expected in it."""
    return outside.data("bpic2012")
