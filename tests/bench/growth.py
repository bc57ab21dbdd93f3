"""Rate, memory and sizes while the history grows: every event moves a deal, and each tenth has as many new deals.

All events are on the topic before the detector starts, so that nothing but the detector is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import asyncpg

from shared.postgres.migrate import migrate_all
from tests.bench.detector import environment, events_read, publish
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.moves.workload import DEALS, MOVES, POLICY, moves
from tests.bench.usage import Meters, TableSize, resident_memory, table_sizes
from tests.support.processes import ServiceProcess

PARTS = 10
# The rate of the last tenth against that of the first.
LEAST = 0.8
# A table that takes less of all bytes is not listed.
_SHOWN = 0.01
_PENDING = "SELECT coalesce(sum(length(deltas)), 0)::bigint FROM flow.span_change"


class RateMark(NamedTuple):
    """When how many events were read (seconds of a clock), and the memory of the detector then, in MB."""

    at: float
    events: int
    memory: float


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, events: int, show: Callable[[str], None]
) -> list[Figure]:
    """The detector reads about `events` events, a multiple of what a tenth needs."""
    show(f"growth: publishing {events:,} events")
    total = await publish(kafka, prefix, moves(*shape_of(events)))
    await migrate_all(dsn)
    connection = await asyncpg.connect(dsn)
    meters = Meters(connection, kafka, dsn)
    service = ServiceProcess("detector", environment(kafka, dsn, prefix, POLICY), folder).start()
    (process,) = meters.watch("detector", [service.pid])
    marks = [await _mark(connection, 1, lambda: resident_memory(process))]
    # Starting the detector is no part of an event.
    before = await meters.read()
    while marks[-1].events < total:
        due = total * len(marks) // PARTS
        marks.append(await _mark(connection, due, lambda: resident_memory(process)))
        show(f"growth: {marks[-1].events:,} of {total:,} events")
    spent = (await meters.read()).since(before)
    waited = await evaluated(connection)
    sizes = await table_sizes(connection)
    await connection.close()
    service.stop()
    return [
        *_of_tenths(marks),
        Figure("growth, evaluation after the last event", waited, "s"),
        *spent.per_event("growth", total - marks[0].events),
        *_of_tables(sizes, total),
    ]


def shape_of(events: int) -> tuple[int, int, int]:
    """Deals, moves of each, and cohorts: whole cohorts in each tenth, none larger than the history of `moves`."""
    deals = max(PARTS, events // MOVES // PARTS * PARTS)
    cohorts = next(n for n in range(PARTS, deals + 1, PARTS) if deals % n == 0 and deals // n <= DEALS)
    return deals, MOVES, cohorts


async def _mark(connection: asyncpg.Connection, due: int, memory: Callable[[], float]) -> RateMark:
    """Wait until so many events are read."""
    while (read := await events_read(connection)) < due:
        await asyncio.sleep(0.02)
    return RateMark(time.perf_counter(), read, memory())


async def evaluated(connection: asyncpg.Connection) -> float:
    """Wait until no change of a count waits for its evaluation; the seconds that it took."""
    began = time.perf_counter()
    while await connection.fetchval(_PENDING):
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


def rates(marks: Sequence[RateMark]) -> list[float]:
    """Events per second between each mark and the next one."""
    return [(later.events - earlier.events) / (later.at - earlier.at) for earlier, later in pairwise(marks)]


def _of_tenths(marks: Sequence[RateMark]) -> list[Figure]:
    each, memory = rates(marks), [mark.memory for mark in marks[1:]]
    whole = (marks[-1].events - marks[0].events) / (marks[-1].at - marks[0].at)
    return [
        Figure("growth, rate, and of each tenth", whole, "events/s", rounds=tuple(each)),
        at_least("growth, rate of the last tenth against the first", each[-1] / each[0], "x", LEAST),
        Figure("growth, memory of the detector, and at each tenth", max(memory), "MB", rounds=tuple(memory)),
        at_most("growth, memory at the last tenth against the second", memory[-1] / memory[1], "x", 1.1),
    ]


def _of_tables(sizes: Sequence[TableSize], events: int) -> Iterator[Figure]:
    """Bytes an event are megabytes (of 10^6) per million events."""
    whole = sum(one.rows + one.indexes for one in sizes)
    yield Figure("growth, all tables per million events", whole / events, "MB")
    for one in sizes:
        if one.rows + one.indexes < _SHOWN * whole:
            continue
        yield Figure(f"growth, table {one.name} per million events: rows", one.rows / events, "MB")
        yield Figure(f"growth, table {one.name} per million events: indexes", one.indexes / events, "MB")
        yield Figure(f"growth, table {one.name}: dead rows at the end", one.dead, "")
        yield Figure(f"growth, table {one.name}: vacuumed", one.vacuums, "times")
