"""Fixtures of the whole suite: one Kafka and Postgres for all workers, a database and a topic prefix for each test."""

from __future__ import annotations

import gc
import itertools
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.testing

from services.demo.server import tail
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.support import examples, outside
from tests.support.databases import drop_database, drop_databases, migrated_database, new_database
from tests.support.processes import ServiceProcess
from tests.support.scheduling import GroupScheduling, long_first
from tests.support.servers import kafka_address, postgres_dsn
from tests.support.shared_server import shared
from tests.support.topics import delete_topics

_numbers = itertools.count(1)
LOG_LINES = 30
examples.register()
# Typer builds the tree of all commands at each invocation, which takes longer than the command itself.
typer.testing._get_command = cache(typer.testing._get_command)
# Each client of httpx reads all certificates that are trusted, which takes longer than a request of a test.
httpx._transports.default.create_ssl_context = cache(httpx._transports.default.create_ssl_context)


def pytest_configure() -> None:
    """End on SIGTERM as on Ctrl-C: fixtures stop their servers and remove what they made. Fork services."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ServiceProcess.is_forked = True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        long_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep modules and tests out of the garbage collector's sight: it would walk them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        # A tenth of the time of tests went into collecting: what they make is mostly gone without.
        gc.set_threshold(20_000, 50, 100)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the test's services logged: nobody can look it up on the machine that ran it."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and isinstance(folder, Path):
        report.sections += [(f"end of {log.name}", tail(log, LOG_LINES)) for log in sorted(folder.glob("*.log"))]
    return report


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
def postgres_server(run_folder: Path) -> Iterator[str]:
    """DSN of a real Postgres."""
    with shared(run_folder / "postgres", postgres_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def postgres(postgres_server: str) -> AsyncIterator[str]:
    """DSN of a real Postgres on which databases may be made."""
    yield postgres_server
    await drop_databases(postgres_server)


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """DSN of a fresh database with the tables of all services."""
    made = await migrated_database(postgres)
    yield made
    await drop_database(postgres, made)


@pytest.fixture
async def empty_dsn(postgres: str) -> AsyncIterator[str]:
    """DSN of a fresh, empty database."""
    made = await new_database(postgres)
    yield made
    await drop_database(postgres, made)


@pytest.fixture
async def prefix(kafka: str) -> AsyncIterator[str]:
    """A prefix under which all topics have been made, so that tests share a broker without meeting."""
    name = f"t{next(_numbers)}-{secrets.token_hex(4)}."
    made = await create_topics(KafkaAccess(kafka), name)
    yield name
    # A broker with thousands of topics takes longer for each answer.
    await delete_topics(kafka, made)


@pytest.fixture(scope="session")
def bpic2012() -> Path:
    """A real event log, with the problems expected in it."""
    return outside.data("bpic2012")
