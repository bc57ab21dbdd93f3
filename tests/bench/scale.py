"""One, two and four detectors over eight partitions: events a second in all, and what everything spends on an event.

The detectors share out an empty topic, then wait for a lock on what they have read, before the clock starts: starting
them would cost more than reading.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import asyncpg

from shared.postgres.migrate import migrate_all
from tests.bench.detector import environment, events_read, publish
from tests.bench.figures import Figure
from tests.bench.moves.workload import MOVES, POLICY, moves
from tests.bench.usage import Meters, Spent
from tests.support.processes import ServiceProcess

PARTITIONS, DETECTORS = 8, (1, 2, 4)


async def measure(
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    new_prefix: Callable[[int], Awaitable[str]],
    folder: Path,
    events: int,
    show: Callable[[str], None],
) -> list[Figure]:
    """Each number of detectors reads the same events, in a topic and into a database of its own."""
    figures, alone = list[Figure](), 0.0
    for number in DETECTORS:
        show(f"scale: {number} detectors, {events:,} events")
        total, seconds, spent = await _read(
            kafka, await new_dsn(), await new_prefix(PARTITIONS), folder, number, events
        )
        name = f"{number} detector{'s' if number > 1 else ''} of {PARTITIONS} partitions"
        alone = alone or total / seconds
        figures.append(Figure(f"{name}, in all", total / seconds, "events/s"))
        figures.append(Figure(f"{name}, against one", total / seconds / alone, "x"))
        figures += spent.per_event(name, total)
    return figures


async def _read(kafka: str, dsn: str, prefix: str, folder: Path, number: int, events: int) -> tuple[int, float, Spent]:
    """How many events were read, the seconds that took, and what was spent meanwhile."""
    await migrate_all(dsn)
    connection, gate = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    with _detectors(environment(kafka, dsn, prefix, POLICY), folder, number) as services:
        # Before there is anything to read: a detector that waits for the lock could not give partitions to the next.
        await asyncio.gather(*(asyncio.to_thread(partial(one.ready, 60)) for one in services))
        async with gate.transaction():
            # Detectors fetch, and prepare their first batches, but write nothing.
            await gate.execute("LOCK TABLE flow.event IN SHARE MODE")
            total = await publish(kafka, prefix, moves(max(1, events // MOVES)))
            meters = Meters(connection, kafka, dsn)
            meters.watch("detectors", [one.pid for one in services])
            before, began = await meters.read(), time.perf_counter()
        while await events_read(connection) < total:
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began
        spent = (await meters.read()).since(before)
    await gate.close()
    await connection.close()
    return total, seconds, spent


@contextmanager
def _detectors(settings: dict[str, str], folder: Path, number: int) -> Iterator[Sequence[ServiceProcess]]:
    """Started, and stopped whatever happens."""
    services = [ServiceProcess("detector", settings, folder) for _ in range(number)]
    try:
        for one in services:
            one.start()
        yield services
    finally:
        for one in services:
            one.stop()
