"""`andon demo`: brings everything up on this machine, plays a CRM's history into it, and shows where to look."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from services.demo.kafka import Kafka, ServerError, tail
from services.demo.postgres import Postgres
from services.demo.processes import Child, end_all
from services.demo.reaper import Guard
from services.demo.topology import Line
from services.importer.load import LoadError
from services.simulator.post import PostRejected
from services.simulator.run import SimulationJournal
from shared.kafka.admin import TopicMismatchError
from shared.postgres.migrate import MigrationError

console = Console()
DAYS = 180
SERVICES = ("intake", "detector", "tickets", "notifier")


class Stopped(Exception):
    """Somebody asked for the end."""


def demo(folder: Path, seed: int) -> int:
    """Run until Ctrl-C; the exit code."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        with _alone(folder) as lock, ExitStack() as ends:
            guard = Guard(lock, folder / "guard.log")
            ends.callback(guard.dismiss)
            Demo(folder, seed, ends, guard).run()
    except Stopped:
        console.print(
            "Everything has stopped. The data are kept; [b]make demo[/b] goes on, make clean-demo removes them."
        )
        return 0
    except (ServerError, OSError, TimeoutError, PostRejected, TopicMismatchError, MigrationError, LoadError) as error:
        console.print("[red]The demonstration cannot run.[/red]")
        console.print(str(error), highlight=False, markup=False)
        return 1
    return 0


def remove(folder: Path) -> int:
    """`--clean`: the data of the servers, wherever they are, and the folder."""
    try:
        if folder.exists():
            with _alone(folder):
                Postgres(folder.resolve() / "postgres").remove()
                shutil.rmtree(folder)
    except (ServerError, OSError) as error:
        console.print(f"[red]The data cannot be removed.[/red] {error}", highlight=False)
        return 1
    console.print(f"{folder} is removed")
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    # Ending takes some seconds; a second Ctrl-C must not leave a process behind.
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise Stopped


@contextmanager
def _alone(folder: Path) -> Iterator[IO[str]]:
    """Only one demonstration at a time uses the folder."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServerError(
                f"another demonstration runs on {folder}, or is just ending: wait, end it, or choose another --folder"
            ) from None
        yield lock


class Demo:
    """One run, step by step; what was started is ended by `ends`, the last first."""

    def __init__(self, folder: Path, seed: int, ends: ExitStack, guard: Guard) -> None:
        self._folder, self._ends, self._guard = folder, ends, guard
        self._journal_file = folder / "crm.json"
        now = datetime.now(UTC).replace(microsecond=0)
        self._journal = SimulationJournal.open(self._journal_file, seed, DAYS, now)
        # Before the first webhook: a start that was cut off goes on with the same history.
        self._journal.keep(self._journal_file)

    def run(self) -> None:
        began = time.monotonic()
        with self._step("Kafka and Postgres"):
            kafka, postgres = self._servers()
        line = Line(self._folder, kafka, postgres)
        with self._step("topics and tables"):
            asyncio.run(line.prepare(hold=not self._journal.history))
        with self._step("mail sink and services"):
            children = self._children(line)
        if not self._journal.history:
            asyncio.run(line.play_history(self._journal, console))
            self._journal.history = True
            self._journal.keep(self._journal_file)
        crm = line.crm(self._journal_file, self._folder)
        crm.start(self._guard.watch)
        self._ends.callback(end_all, [crm])
        self._show(line, time.monotonic() - began)
        self._watch([*children, crm])

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        with console.status(f"{name} ..."):
            yield
        console.print(f"[green]✓[/green] {name} [dim]{time.monotonic() - began:.1f} s[/dim]")

    def _servers(self) -> tuple[str, str]:
        """Kafka and Postgres, both at once; those that the environment names are used instead."""
        with ThreadPoolExecutor() as both:
            kafka, postgres = both.submit(self._kafka), both.submit(self._postgres)
            return kafka.result(), postgres.result()

    def _kafka(self) -> str:
        if given := os.environ.get("ANDON_KAFKA"):
            return given
        server = Kafka(self._folder / "kafka", started=partial(self._guard.watch, "Kafka"))
        self._ends.callback(server.stop)
        server.start()
        return server.bootstrap

    def _postgres(self) -> str:
        if given := os.environ.get("ANDON_POSTGRES"):
            return given
        server = Postgres(self._folder / "postgres", started=partial(self._guard.watch, "Postgres"))
        self._ends.callback(server.stop)
        server.start()
        return server.dsn

    def _children(self, line: Line) -> list[Child]:
        children = [*line.sink(), *(line.service(name) for name in SERVICES)]
        self._ends.callback(end_all, children)
        for child in children:
            child.start(self._guard.watch)
        for child in children:
            child.wait_until_ready()
        return children

    def _show(self, line: Line, seconds: float) -> None:
        """One screen of addresses."""
        table = Table.grid(padding=(0, 2))
        table.add_row("[b]Tickets[/b]", f"[link={line.tickets_url}]{line.tickets_url}[/link]")
        table.add_row("[b]Inbox[/b]", line.inbox_url or "your own mail server (ANDON_SMTP_HOST)")
        table.add_row("API", f"{line.tickets_url}/api/v1/openapi.json")
        table.add_row("Webhooks", line.webhook_url)
        for name in SERVICES:
            table.add_row(f"Metrics of {name}", f"http://127.0.0.1:{line.ports[name]}/metrics")
        table.add_row("Kafka, Postgres", f"{line.kafka}  {line.shown_postgres}")
        table.add_row("Data and logs", str(self._folder))
        title = f"Andon runs (after {seconds:.0f} s). Watch the list: leads of a trade fair come in now."
        console.print(Panel(table, title=title, subtitle="Ctrl-C ends it", title_align="left", subtitle_align="left"))

    def _watch(self, children: list[Child]) -> None:
        """Start again what ends by itself, and say so."""
        while True:
            for child in children:
                if child.has_ended() and child.start_again(time.monotonic(), self._guard.watch):
                    console.print(f"[yellow]{child.name} ended; it is started again.[/yellow] {child.log}:")
                    console.print(tail(child.log, 5), highlight=False, markup=False)
            threading.Event().wait(1)
