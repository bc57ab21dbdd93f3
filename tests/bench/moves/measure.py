"""Events a second on a history in which every event moves a deal: the detector, a bare consumer and peers in turn.

All read one topic and write to databases of one server; visits must be the same, and those of the bare consumer and
the peers also deals, inbox and work in progress.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from shared.contracts.topics import EVENTS
from tests.bench.detector import BATCH, product, publish
from tests.bench.figures import Figure, median_of
from tests.bench.moves.job import DETECTOR_VISITS, DIGESTS, TABLES
from tests.bench.moves.workload import POLICY, moves
from tests.support.databases import drop_database, new_database

DETECTOR, BARE = "detector", "bare consumer"
PEERS_PYTHON = Path(sys.prefix) / "peers" / "bin" / "python"
# A peer that hangs fails the run.
_MOST_SECONDS = 600


class Program(NamedTuple):
    """A program that does the job, and the least rate of the detector, as a multiple of its own, that is aimed at."""

    python: str
    module: str
    target: float | None


class Reading(NamedTuple):
    """Of one run: events per second, and processor seconds of the process per event."""

    rate: float
    processor: float


PROGRAMS = {
    BARE: Program(sys.executable, "tests.bench.moves.bare", 0.75),
    "Bytewax": Program(str(PEERS_PYTHON), "tests.bench.peers.bytewax_flow", 1.0),
    "Quix Streams": Program(str(PEERS_PYTHON), "tests.bench.peers.quix_application", 1.25),
    "Faust": Program(str(PEERS_PYTHON), "tests.bench.peers.faust_app", None),
}


async def measure(
    kafka: str, postgres: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Medians of `rounds` rounds, in each of which another one begins."""
    consumers = _installed(show)
    show("moves: filling the topic")
    total = await publish(kafka, prefix, moves())
    readings: dict[str, list[Reading]] = defaultdict(list)
    loads, found = list[float](), dict[str, str]()
    for number in range(rounds):
        for name in _turned([DETECTOR, *consumers], number):
            show(f"moves, round {number + 1} of {rounds}: {name}")
            async with _database(postgres) as dsn:
                if name == DETECTOR:
                    run = await product(kafka, dsn, prefix, folder, total, POLICY)
                    readings[name].append(Reading(run.rate, run.processor))
                    await _compare(dsn, {"visit": DETECTOR_VISITS}, found, name)
                else:
                    readings[name].append(await _consume(consumers[name], kafka, dsn, prefix, total))
                    await _compare(dsn, DIGESTS, found, name)
        loads.append(os.getloadavg()[0])
    return _figures(consumers, readings, loads)


def _installed(show: Callable[[str], None]) -> dict[str, Program]:
    """Those that can be imported; the others are named, with the reason."""
    found = {}
    for name, consumer in PROGRAMS.items():
        if not Path(consumer.python).exists():
            print(f"SKIPPED {name}: requirements/peers.txt is not installed; `make bench` does that", file=sys.stderr)
            continue
        show(f"moves: looking for {name}")
        command = [consumer.python, "-c", f"import {consumer.module}"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        if tried.returncode:
            reason = tried.stderr.strip().splitlines()[-1]
            print(f"SKIPPED {name}: {reason}", file=sys.stderr)
        else:
            found[name] = consumer
    return found


def _turned(names: Sequence[str], number: int) -> list[str]:
    start = number % len(names)
    return [*names[start:], *names[:start]]


@asynccontextmanager
async def _database(postgres: str) -> AsyncIterator[str]:
    dsn = await new_database(postgres)
    try:
        yield dsn
    finally:
        await drop_database(postgres, dsn)


async def _consume(consumer: Program, kafka: str, dsn: str, prefix: str, total: int) -> Reading:
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLES)
    await connection.close()
    command = [consumer.python, "-m", consumer.module, kafka, dsn, prefix + EVENTS, str(total), str(BATCH)]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS
    )
    last = ended.stdout.rpartition("\n{")
    if ended.returncode or not last[1]:
        raise RuntimeError(f"{consumer.module} failed:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}")
    told = json.loads("{" + last[2])
    return Reading(total / told["seconds"], told["processor"] / total)


async def _compare(dsn: str, digests: Mapping[str, str], found: dict[str, str], name: str) -> None:
    """Raise AssertionError where somebody before found other rows."""
    connection = await asyncpg.connect(dsn)
    for table, digest in digests.items():
        own = await connection.fetchval(digest)
        assert own == found.setdefault(table, own), f"{name} has other rows in {table} than those before it"
    await connection.close()


def _figures(
    consumers: Mapping[str, Program], readings: Mapping[str, Sequence[Reading]], loads: Sequence[float]
) -> list[Figure]:
    figures = [median_of("moves, load of the machine after each round", loads, "")]
    for name, some in readings.items():
        figures.append(median_of(f"moves, {name}", (one.rate for one in some), "events/s"))
        processor = (one.processor * 1e6 for one in some)
        figures.append(median_of(f"moves, {name}, processor time an event", processor, "µs"))
    for name, consumer in consumers.items():
        ratios = (mine.rate / other.rate for mine, other in zip(readings[DETECTOR], readings[name], strict=True))
        figures.append(median_of(f"moves, detector against {name}", ratios, "x", consumer.target))
    return figures
