"""Loading a history: `andon import` of a table, and `andon replay` of a file of events, each until it is evaluated."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import psutil

from services.importer.journal import ImportJournal
from shared.postgres.migrate import migrate_all
from tests.bench.detector import environment, events_read
from tests.bench.figures import Figure, at_most
from tests.bench.growth import shape_of
from tests.bench.moves.workload import POLICY, moves
from tests.bench.usage import Meters, Spent, resident_memory
from tests.support.processes import ServiceProcess

SECONDS_PER_MILLION = 60
_POLL = 0.1
_STAGES = ("qualified", "demo", "proposal", "negotiation")
_ENTERED = {stage: f"Date entered {stage}" for stage in _STAGES}
_MAPPINGS: dict[str, dict[str, Any]] = {
    "changes": {
        "columns": {"deal": "Opportunity ID", "stage": "Stage", "time": "Change Date", "amount": "Amount"},
    },
    "stages": {
        "columns": {"deal": "Record ID", "created": "Create Date", "closed": "Close Date", "name": "Deal Name"}
        | {"stage": "Deal Stage", "amount": "Amount"},
        "stage_dates": _ENTERED,
    },
}
_COMMON = {"version": 1, "pipeline": "sales", "won": ["Closed Won"], "lost": ["Closed Lost"], "decimal": "point"}
SHAPES = tuple(_MAPPINGS)


class Ended(NamedTuple):
    """Of a command that has ended: wall seconds, processor seconds, and its greatest resident memory in MB."""

    seconds: float
    processor: float
    memory: float


def mapping_of(shape: str) -> dict[str, Any]:
    """How `andon import` reads the table of a shape."""
    return _COMMON | _MAPPINGS[shape] | {"shape": shape}


async def of_table(
    kafka: str, dsn: str, prefix: str, folder: Path, rows: int, shape: str, show: Callable[[str], None]
) -> list[Figure]:
    """`andon import` of a table whose rows are changes, one event each, or deals, with a date for each stage."""
    table, mapping = folder / f"{shape}.csv", folder / f"{shape}.mapping.yaml"
    show(f"import: writing {rows:,} rows")
    mapping.write_text(json.dumps(mapping_of(shape)))
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(changes(rows) if shape == "changes" else deals(rows))
    async with _detector(kafka, dsn, prefix, folder) as loading:
        show(f"import: {rows:,} rows of shape {shape}")
        command = ["import", str(table), "--source", "crm", "--mapping", str(mapping)]
        published = asyncio.create_task(_published(folder / f"{table.name}.import.json", rows))
        ended = await _run(command, loading.settings, folder)
        journal = ImportJournal.model_validate_json((folder / f"{table.name}.import.json").read_bytes())
        assert (journal.bad, journal.imported) == (0, rows), journal
        name = f"import of {rows:,} rows ({shape})"
        return [
            at_most(name, ended.seconds, "s", SECONDS_PER_MILLION * rows / 1e6),
            at_most(f"{name}, processor time of the command", ended.processor, "s", SECONDS_PER_MILLION * rows / 1e6),
            Figure(f"{name}, published after", await published - loading.began, "s"),
            Figure(f"{name}, events", journal.events, ""),
            Figure(f"{name}, memory of the command", ended.memory, "MB"),
            *(await loading.spent()).per_event(name, journal.events),
        ]


async def of_events(
    kafka: str, dsn: str, prefix: str, folder: Path, events: int, show: Callable[[str], None]
) -> list[Figure]:
    """`andon hold`, `andon replay` of a file of events, `andon reevaluate`."""
    path = folder / "events.jsonl"
    show(f"back-fill: writing {events:,} events")
    with path.open("wb") as file:
        total = sum(file.write(orjson.dumps(event) + b"\n") > 0 for event in moves(*shape_of(events)))
    async with _detector(kafka, dsn, prefix, folder) as loading:
        await _run(["hold"], loading.settings, folder)
        began = time.perf_counter()
        show(f"back-fill: publishing {total:,} events")
        published = await _run(["replay", str(path)], loading.settings, folder)
        show(f"back-fill: reading {total:,} events")
        while await events_read(loading.connection) < total:
            await asyncio.sleep(_POLL)
        read = time.perf_counter() - began
        show(f"back-fill: evaluating {total:,} events")
        evaluated = await _run(["reevaluate", "--since", "1970-01-01T00:00:00Z"], loading.settings, folder)
        seconds = time.perf_counter() - began
        name = f"back-fill of {total:,} events"
        return [
            Figure(name, total / seconds, "events/s"),
            Figure(f"{name}, published", total / published.seconds, "events/s"),
            Figure(f"{name}, read after", read, "s"),
            Figure(f"{name}, evaluated in", evaluated.seconds, "s"),
            Figure(f"{name}, processor time of replay an event", published.processor / total * 1e6, "µs"),
            Figure(f"{name}, processor time of evaluation an event", evaluated.processor / total * 1e6, "µs"),
            Figure(f"{name}, memory of replay", published.memory, "MB"),
            Figure(f"{name}, memory of evaluation", evaluated.memory, "MB"),
            *(await loading.spent()).per_event(name, total),
        ]


def changes(rows: int) -> Iterator[Sequence[str]]:
    """The header and the rows: each a change of stage, with the deal's amount."""
    yield "Opportunity ID", "Stage", "Change Date", "Amount"
    for number, event in enumerate(moves(*shape_of(rows + 99))):
        if number == rows:
            return
        deal = event["subject"].partition(":")[2]
        yield deal, event["data"]["stage"], event["time"][:19].replace("T", " "), f"{1000 + int(deal) % 9000}.50"


def deals(rows: int) -> Iterator[Sequence[str]]:
    """The header and the rows: a deal each, with the stages that it reached; a third are closed."""
    yield "Record ID", "Deal Name", "Deal Stage", "Create Date", *_ENTERED.values(), "Close Date", "Amount"
    chance, end = random.Random(18), datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0)
    for number in range(rows):
        at, reached = end - timedelta(minutes=chance.randrange(100_000, 500_000)), chance.randint(1, len(_STAGES))
        times = [at + timedelta(minutes=20_000 * step + chance.randrange(20_000)) for step in range(len(_STAGES) + 1)]
        entered = [f"{one:%Y-%m-%d %H:%M}" for one in times[:reached]]
        closed = chance.choice(("Closed Won", "Closed Lost")) if number % 3 == 0 else ""
        yield (
            *(str(number), f"Deal {number}", closed or _STAGES[reached - 1], f"{at:%Y-%m-%d %H:%M}"),
            *(*entered, *[""] * (len(_STAGES) - reached)),
            *(f"{times[reached]:%Y-%m-%d %H:%M}" if closed else "", f"{chance.randrange(1000, 99_000)}.00"),
        )


class _Loading(NamedTuple):
    """A detector that is ready, and since when: an instant by time.perf_counter, and what was spent until then."""

    settings: Mapping[str, str]
    connection: asyncpg.Connection
    meters: Meters
    began: float
    before: Spent

    async def spent(self) -> Spent:
        return (await self.meters.read()).since(self.before)


@asynccontextmanager
async def _detector(kafka: str, dsn: str, prefix: str, folder: Path) -> AsyncIterator[_Loading]:
    await migrate_all(dsn)
    own = environment(kafka, dsn, prefix, POLICY)
    service = ServiceProcess("detector", own, folder).start().ready()
    connection = await asyncpg.connect(dsn)
    meters = Meters(connection, kafka, dsn)
    meters.watch("detector", [service.pid])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
    before = await meters.read()
    yield _Loading(plain | own, connection, meters, time.perf_counter(), before)
    await connection.close()
    service.stop()


async def _published(journal: Path, rows: int) -> float:
    """Wait until the broker has acknowledged all rows; returns the instant, by time.perf_counter."""
    while _rows_of(journal) < rows:
        await asyncio.sleep(_POLL)
    return time.perf_counter()


def _rows_of(journal: Path) -> int:
    return ImportJournal.model_validate_json(journal.read_bytes()).rows if journal.exists() else 0


async def _run(arguments: Sequence[str], settings: Mapping[str, str], folder: Path) -> Ended:
    """Run a command to its end. Raises RuntimeError where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    log = folder / f"{arguments[0]}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli.main", *arguments, env=settings, stdout=output, stderr=output
        )
    memory, ending = 0.0, asyncio.create_task(process.wait())
    while not ending.done():
        await asyncio.wait([ending], timeout=_POLL)
        if not ending.done():
            memory = max(memory, resident_memory(psutil.Process(process.pid)))
    if process.returncode:
        raise RuntimeError(f"andon {arguments[0]} failed:\n{log.read_text()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(time.perf_counter() - began, processor, memory)
