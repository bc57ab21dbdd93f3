"""`andon demo`: starts everything on this machine, loads a simulated CRM's history, and shows the addresses."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from aiokafka.errors import KafkaError
from rich.console import Console

from services.demo.cord import cord_address
from services.demo.history import ShowLoad, load_history, prepare
from services.demo.kafka import Kafka
from services.demo.ports import Ports
from services.demo.postgres import Postgres
from services.demo.processes import ChildProcess, stop_all
from services.demo.reaper import Reaper
from services.demo.server import Server, ServerError
from services.demo.topology import SERVICES, Topology
from services.demo.watch import Watch
from services.importer.load import LoadError
from services.simulator.post import PostRejected
from services.simulator.run import SimulationJournal
from shared.kafka.admin import TopicMismatchError
from shared.postgres.migrate import MigrationError
from shared.postgres.pool import TRANSIENT

console = Console()
DAYS = 180
# How long loading the history is repeated: a killed server needs up to a minute on a busy machine.
LOAD_SECONDS = 300.0
FAILURES = (ServerError, OSError, TimeoutError, PostRejected, TopicMismatchError, MigrationError, LoadError)


class Stopped(Exception):
    """The user or the system stopped the demo."""


def run(folder: Path, seed: int, show: ShowLoad) -> int:
    """Run until Ctrl-C; returns the exit code. `show` displays the progress of loading the history."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        with _locked(folder) as lock, ExitStack() as cleanup:
            reaper = Reaper(lock, folder / "reaper.log")
            cleanup.callback(reaper.close)
            Demo(folder, seed, cleanup, reaper, show).run()
    except Stopped:
        console.print("Stopped. The data are kept: [b]make demo[/b] resumes, [b]make clean-demo[/b] deletes them.")
        return 0
    except FAILURES as error:
        console.print("[red]The demo cannot run.[/red]")
        console.print(str(error), highlight=False, markup=False)
        return 1
    return 0


def remove(folder: Path) -> int:
    """Delete the folder and the servers' data, which may be elsewhere; returns the exit code."""
    if not folder.exists():
        console.print(f"There is no demo in {folder}.", soft_wrap=True)
        return 0
    try:
        with _locked(folder):
            Postgres(folder.resolve() / "postgres").remove()
            shutil.rmtree(folder)
    except (ServerError, OSError) as error:
        console.print(f"[red]The data cannot be deleted.[/red] {error}", highlight=False)
        return 1
    console.print(f"{folder} is deleted")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    # Stopping takes a few seconds; a second Ctrl-C must not leave a process behind.
    for signal_number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(signal_number, signal.SIG_IGN)
    raise Stopped


@contextmanager
def _locked(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock on the folder; raises ServerError if another demo does."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServerError(
                f"another demo uses {folder}, or is stopping: wait, stop it, or choose another --folder"
            ) from None
        yield lock


class Demo:
    """One run. All that it starts is watched, registered with the reaper, and stopped by `cleanup` in reverse order."""

    def __init__(self, folder: Path, seed: int, cleanup: ExitStack, reaper: Reaper, show: ShowLoad) -> None:
        self._folder, self._cleanup, self._reaper, self._show = folder, cleanup, reaper, show
        self._ports = Ports(folder / "ports.json")
        self._watch = Watch(_tell, reaper.register)
        self._journal_file = folder / "crm.json"
        now = datetime.now(UTC).replace(microsecond=0)
        self._journal = SimulationJournal.open(self._journal_file, seed, DAYS, now)
        # Saved before the first webhook, so that an interrupted start resumes the same history.
        self._journal.save(self._journal_file)

    def run(self) -> None:
        """Start everything, then wait until Stopped is raised."""
        started = time.monotonic()
        with self._step("Kafka and Postgres"):
            kafka, postgres, is_own = self._start_servers()
        topology = Topology(self._folder, kafka, postgres, self._ports, is_own)
        for moved in self._ports.moved:
            console.print(f"[yellow]{moved}[/yellow]")
        with self._step("topics and tables"):
            asyncio.run(prepare(topology, hold=not self._journal.history))
        with self._step("mail inbox and services"):
            self._start_children(topology)
        if not self._journal.history:
            self._load(topology)
            self._journal.history = True
            self._journal.save(self._journal_file)
        crm = topology.crm(self._journal_file)
        crm.start(self._reaper.register)
        self._cleanup.callback(stop_all, [crm])
        self._look_after([crm])
        cord = asyncio.run(cord_address(topology))
        for line in address_lines(topology, cord, time.monotonic() - started):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        while True:
            threading.Event().wait(1)

    def _look_after(self, started: Sequence[Server | ChildProcess]) -> None:
        """Watch these; at the end the watch is closed before they are stopped."""
        self._cleanup.callback(self._watch.close)
        self._watch.add(*started)

    def _load(self, topology: Topology) -> None:
        """Load the history; repeat that while a server is lost or restarts, which is safe."""
        deadline = time.monotonic() + LOAD_SECONDS
        while True:
            try:
                asyncio.run(load_history(topology, self._journal, self._show))
                return
            except (*TRANSIENT, KafkaError, LoadError) as error:
                if time.monotonic() > deadline:
                    raise LoadError(f"the history could not be loaded: {error}") from error
                _tell(f"Loading the history was interrupted, beginning again: {error}")
                time.sleep(2)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        with console.status(f"{name} ..."):
            yield
        console.print(f"[green]✓[/green] {name} [dim]{time.monotonic() - started:.1f} s[/dim]")

    def _start_servers(self) -> tuple[str, str, bool]:
        """The addresses of Kafka and Postgres: from the environment, or of servers started here; is Postgres ours?

        Our own addresses may be in the environment as well, if the settings of an earlier run were exported.
        """
        kafka = Kafka(self._folder / "kafka", self._ports.choose("kafka"), partial(self._reaper.register, Kafka.name))
        postgres = Postgres(
            self._folder / "postgres",
            self._ports.choose("postgres"),
            on_start=partial(self._reaper.register, Postgres.name),
        )
        given = os.environ.get("ANDON_KAFKA") or kafka.bootstrap, os.environ.get("ANDON_POSTGRES") or postgres.dsn
        own = {kafka.bootstrap: kafka, postgres.dsn: postgres}
        servers = [own[address] for address in given if address in own]
        for server in servers:
            self._cleanup.callback(server.stop)
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda server: server.start(), servers))
        self._look_after(servers)
        return *given, postgres in servers

    def _start_children(self, topology: Topology) -> None:
        children = topology.children()
        self._cleanup.callback(stop_all, children)
        for child in children:
            child.start(self._reaper.register)
        for child in children:
            child.wait_until_ready()
        self._look_after(children)


def _tell(text: str) -> None:
    console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


def address_lines(topology: Topology, cord: str, seconds: float) -> Iterator[str]:
    """Where everything is. Plain lines, so that addresses and settings can be copied."""
    addresses = {
        "Tickets": topology.tickets_url,
        "Inbox": topology.inbox_url or "your own mail server (ANDON_SMTP_HOST)",
        "Pull the cord": cord,
        "API": f"{topology.tickets_url}/api/v1/openapi.json",
        "Webhooks": topology.webhook_url,
        "Metrics": "  ".join(topology.metrics_url(service) for service in SERVICES),
        "Data and logs": str(topology.folder),
    }
    yield "─" * 80
    yield f"Andon is running ({seconds:.0f} s). Watch the list: leads from a trade fair are coming in now."
    yield ""
    for name, address in addresses.items():
        yield f"{name:<15}{address}"
    yield ""
    yield "For andon commands in another terminal:"
    yield from topology.exports()
    yield ""
    yield "Ctrl-C stops it. The next start has the same addresses and data."
    yield "─" * 80
