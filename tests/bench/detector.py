"""Events a second: the detector against the bare consumer, in turn on one topic; and the cost of time passing."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import psutil
from prometheus_client import CollectorRegistry

from services.detector.evaluate.evaluator import Evaluator
from services.detector.metrics import DetectorMetrics
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import history
from services.detector.store.copy_tables import open_flow
from services.detector.store.watermark import Standing, record
from services.simulator import dialects, run
from shared.contracts.topics import EVENTS
from shared.flow.deltas import CountDeltas
from shared.flow.ruleset import Ruleset
from shared.flow.visits import Visit
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros
from tests.bench.figures import Figure, at_most, median_of
from tests.bench.usage import processor_seconds, resident_memory
from tests.support.processes import ServiceProcess

POLICY = Path(dialects.__file__).parents[2] / "demo" / "policy.yaml"
SEEDS, PARTITIONS = 20, 4
# The baseline reads batches of the same size.
BATCH = DetectorSettings.model_fields["detector_batch"].default
DAY = 86_400_000_000


def histories(companies: int) -> list[dict[str, Any]]:
    """The events of half a year of some companies, in order of time."""
    end = datetime.now(UTC).replace(microsecond=0)
    events = [
        event | {"id": f"{seed}-{event['id']}", "subject": f"{event['subject']}{seed}"}
        for seed in range(companies)
        for one in run.history(seed, 180, end)
        for event in dialects.canonical(one)
    ]
    return sorted(events, key=lambda event: event["time"])


async def publish(kafka: str, prefix: str, events: Iterable[dict[str, Any]]) -> int:
    """Publish events in their order, those of one deal to one partition; returns how many they are."""
    number, publisher = 0, Publisher(KafkaAccess(kafka), deadline_seconds=60)
    rest = iter(events)
    while part := list(islice(rest, 5000)):
        await publisher.publish_all(
            [OutgoingMessage(prefix + EVENTS, e["subject"].encode(), orjson.dumps(e)) for e in part]
        )
        number += len(part)
    await publisher.stop()
    return number


class DetectorRun(NamedTuple):
    """From the first batch to the last: events per second, processor seconds per event; resident memory in MB after."""

    rate: float
    processor: float
    memory: float


def environment(kafka: str, dsn: str, prefix: str, policy: Path) -> dict[str, str]:
    """The settings of a detector."""
    return {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(policy),
        "ANDON_TOPIC_PREFIX": prefix,
    }


async def events_read(connection: asyncpg.Connection) -> int:
    """How many records the detectors have applied."""
    return int(await connection.fetchval("SELECT coalesce(sum(next_offset), 0) FROM flow.position"))


async def product(kafka: str, dsn: str, prefix: str, folder: Path, total: int, policy: Path = POLICY) -> DetectorRun:
    """Let the detector read `total` events."""
    await migrate_all(dsn)
    service = ServiceProcess("detector", environment(kafka, dsn, prefix, policy), folder).start()
    process, connection = psutil.Process(service.pid), await asyncpg.connect(dsn)
    started, used, done, first = 0.0, 0.0, 0, 0
    while done < total:
        done = await events_read(connection)
        if done and not started:
            started, used, first = time.perf_counter(), processor_seconds(process), done
        await asyncio.sleep(0.01)
    seconds, used = time.perf_counter() - started, processor_seconds(process) - used
    memory = resident_memory(process)
    await connection.close()
    service.stop()
    return DetectorRun((total - first) / seconds, used / (total - first), memory)


def bare(kafka: str, dsn: str, prefix: str, total: int) -> float:
    program = (
        "import uvloop; from tests.bench.bare_detector import consume;"
        f"print(uvloop.run(consume({kafka!r}, {dsn!r}, {prefix + EVENTS!r}, {total}, {BATCH})))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(ended.stdout)


async def measure(
    kafka: str,
    new_dsn: Callable[[], Awaitable[str]],
    prefix: str,
    folder: Path,
    rounds: int,
    show: Callable[[str], None],
) -> list[Figure]:
    """Medians of `rounds` rounds."""
    show("detector: filling the topic")
    total = await publish(kafka, prefix, histories(SEEDS))
    mine, others, memory = [], [], 0.0
    for number in range(rounds):
        show(f"detector, round {number + 1} of {rounds}: bare")
        others.append(await asyncio.to_thread(bare, kafka, await new_dsn(), prefix, total))
        show(f"detector, round {number + 1} of {rounds}: product")
        speed, _, memory = await product(kafka, await new_dsn(), prefix, folder, total)
        mine.append(speed)
    return [
        median_of("detector, bare consumer", others, "events/s"),
        median_of("detector", mine, "events/s"),
        median_of("detector against bare", (a / b for a, b in zip(mine, others, strict=True)), "x", 0.95),
        at_most(f"memory of the detector after {total} events", memory, "MB", 150),
    ]


async def cost_of_time(new_dsn: Callable[[], Awaitable[str]], passes: int, show: Callable[[str], None]) -> list[Figure]:
    """Milliseconds of a pass over one second in which one deal moves, by number of open deals."""
    flows = {}
    for deals in (10_000, 100_000, 1_000_000):
        show(f"cost of time: {deals} open deals")
        flows[deals] = await OpenDeals.of(await new_dsn(), deals)
    seconds: dict[int, list[float]] = {deals: [] for deals in flows}
    for number in range(passes):
        # In turn, so that a slow phase of the database, like vacuum, slows all sizes alike.
        for deals, flow in flows.items():
            seconds[deals].append(await flow.second(number))
    for flow in flows.values():
        await flow.pool.close()
    costs = {deals: statistics.median(some) * 1000 for deals, some in seconds.items()}
    figures = [Figure(f"a pass with {deals} open deals", cost, "ms") for deals, cost in costs.items()]
    return [*figures, at_most("1 M open deals against 10 k", costs[1_000_000] / costs[10_000], "x", 1.2)]


class OpenDeals:
    """A flow with `deals` open deals, all evaluated. They entered on two days in the past, so a pass now does the same
    work for any number of them.
    """

    def __init__(self, pool: Pool, deals: int) -> None:
        self.pool, self._deals, self._ruleset = pool, deals, Ruleset(load(POLICY))
        DetectorMetrics(CollectorRegistry())
        self._evaluator = Evaluator(self._ruleset, ProblemPublisher(self._ruleset), ClockKind.WALL)
        self._now = micros(datetime.now(UTC) - timedelta(days=1))

    @classmethod
    async def of(cls, dsn: str, deals: int) -> OpenDeals:
        await migrate_all(dsn)
        flow = cls(await open_flow(dsn, max_size=2), deals)
        await record(flow.pool, [], PARTITIONS)
        async with flow.pool.acquire() as connection:
            for start in range(0, deals, 50_000):
                numbers = range(start, min(start + 50_000, deals))
                await _open_deals(connection, flow._ruleset, numbers, flow._now - DAY, 2 * DAY)
            await _pass(connection, flow._evaluator, flow._now)
        return flow

    async def second(self, number: int) -> float:
        """Let one more deal enter and one more second pass; returns the seconds that the evaluation took."""
        at = self._now + (number + 1) * 1_000_000
        async with self.pool.acquire() as connection:
            await _open_deals(connection, self._ruleset, range(self._deals + number, self._deals + number + 1), at)
            began = time.perf_counter()
            await _pass(connection, self._evaluator, at)
            return time.perf_counter() - began


async def _open_deals(connection: Connection, ruleset: Ruleset, numbers: range, until: int, spread: int = 1) -> None:
    """Let deals enter proposal within `spread` microseconds before `until`."""
    counts, stays = CountDeltas(ruleset), []
    for number in numbers:
        visit = Visit("new", "proposal", until - number * 7_919_999_983 % spread, True, None, [], [])
        counts.add(visit)
        stays.append((f"d{number}", visit))
    async with connection.transaction():
        await history.save_visits(connection, stays)
        await history.add_changes(connection, counts.packed())


async def _pass(connection: Connection, evaluator: Evaluator, at: int) -> None:
    async with connection.transaction():
        await record(connection, [Standing(n, True, at, at) for n in range(PARTITIONS)])
        await evaluator.evaluate(connection, datetime.now(UTC))
