"""A real event log through Kafka, detector processes and Postgres gives exactly the expected intervals."""

from __future__ import annotations

import gzip
import json
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from services.cli.what_if_json import interval_json
from shared.contracts.envelope import iso
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.events import event_of
from shared.flow.what_if import find
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.policy import load
from shared.runtime.instants import micros, moment
from tests.support import outside
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

# Of the log's 105,716 events; `make proofs` takes all.
PART = 20_000
LATENESS_MS = 7 * 86_400_000
CHUNK = 500
_PROBLEMS = "SELECT key, opened_at, cleared_at, peak FROM flow.problem ORDER BY key, opened_at"
_VISITS = "SELECT deal, pipeline, stage, entered, left_at, known FROM flow.visit"
Lines = list[tuple[int, bytes, bytes]]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def read_lines(path: Path) -> Lines:
    """(time in ms, deal, line) of each event."""
    lines = []
    with gzip.open(path) as file:
        for line in file:
            event = json.loads(line)
            lines.append((micros_of(event["time"]) // 1000, event["subject"].encode(), line.strip()))
    return lines


def beginning(log: Path, number: int) -> Lines:
    """So many events of a log, or all of them."""
    return read_lines(log / "events.jsonl.gz")[: None if outside.IS_WHOLE else number]


def micros_of(text: str) -> int:
    from datetime import datetime

    return micros(datetime.fromisoformat(text))


async def publish(kafka: str, topic: str, chunks: Sequence[Lines]) -> None:
    """Write one chunk after the other."""
    publisher = Publisher(KafkaAccess(kafka), deadline_seconds=60)
    for chunk in chunks:
        await publisher.publish_all([OutgoingMessage(topic, deal, line, at) for at, deal, line in chunk])
    await publisher.stop()


def within_lateness(lines: Lines) -> list[Lines]:
    """Chunks of which no line is older than the lateness, wherever a reader meets the end of the log.

    A producer writes a chunk one partition after the other. A reader may be at the end of all of them when half is
    written: then the newest line so far is its present, and what follows of the chunk is late.
    """
    chunks: list[Lines] = [[]]
    newest = oldest = lines[0][0] if lines else 0
    for line in lines:
        newest, oldest = max(newest, line[0]), min(oldest, line[0])
        if len(chunks[-1]) == CHUNK or newest - oldest >= LATENESS_MS:
            chunks.append([])
            oldest = line[0]
        chunks[-1].append(line)
    return chunks


@asynccontextmanager
async def detectors(
    count: int, kafka: str, dsn: str, prefix: str, policy: Path, folder: Path, batch: int = 500
) -> AsyncIterator[list[ServiceProcess]]:
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(policy),
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_CLOCK": "log",
        "ANDON_DETECTOR_BATCH": str(batch),
    }
    replicas = [ServiceProcess("detector", environment, folder) for _ in range(count)]
    for replica in replicas:
        replica.start()
    for replica in replicas:
        replica.ready()
    try:
        yield replicas
    finally:
        for replica in replicas:
            replica.stop()


async def evaluated_until(dsn: str, last: int, within: float = 240) -> Connection:
    """Wait until the watermark reaches `last` (us); returns an open connection."""
    connection = await asyncpg.connect(dsn)

    async def watermark() -> int:
        return int(await connection.fetchval("SELECT watermark FROM flow.evaluation_state") or 0)

    await eventually(watermark, lambda instant: instant >= last, within)
    return connection


async def intervals(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await connection.fetch(_PROBLEMS):
        cleared = None if row["cleared_at"] is None else iso(row["cleared_at"])
        found.setdefault(row["key"], []).append(
            {"opened_at": iso(row["opened_at"]), "cleared_at": cleared, "peak": row["peak"]}
        )
    return found


async def visits(connection: Connection) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await connection.fetch(_VISITS)}


def expected(lines: Lines, policy: Path) -> tuple[dict[str, Any], set[tuple[Any, ...]]]:
    """What the pure core finds in the same lines: intervals by problem, and visits."""
    events = [event_of(DealEvent.model_validate_json(line)) for _, _, line in lines]
    found = find(events, load(policy), max(event.key.time for event in events))
    problems = {key: [interval_json(i) for i in some] for key, some in found.problems.items() if some}
    stays = {
        (deal, v.pipeline, v.stage, moment(v.entered), None if v.left is None else moment(v.left), v.known)
        for deal, v in found.visits
    }
    return problems, stays


def unchanged(lines: Lines, seed: random.Random) -> Lines:
    return lines


def duplicated_and_delayed(lines: Lines, seed: random.Random) -> Lines:
    """10 % of the events twice, and every event delayed by up to 80 % of the lateness."""
    doubled = lines + seed.sample(lines, len(lines) // 10)
    return sorted(doubled, key=lambda line: line[0] + seed.random() * LATENESS_MS * 0.8)


async def check(
    replicas: int,
    batch: int,
    mangle: Callable[[Lines, random.Random], Lines],
    kill: bool,
    lines: Lines,
    policy: Path,
    kafka: str,
    dsn: str,
    prefix: str,
    folder: Path,
) -> None:
    """Publish the lines; the detectors find the same problems and visits as the pure core."""
    seed = random.Random(7)
    problems, stays = expected(lines, policy)
    assert problems
    async with detectors(replicas, kafka, dsn, prefix, policy, folder, batch) as running:
        chunks = within_lateness(mangle(lines, seed))
        for part in range(8):
            begin, end = len(chunks) * part // 8, len(chunks) * (part + 1) // 8
            await publish(kafka, prefix + EVENTS, chunks[begin:end])
            if kill:
                victim = seed.choice(running)
                victim.kill()
                victim.start()
        connection = await evaluated_until(dsn, max(at for at, _, _ in lines) * 1000, 240 if batch > 17 else 1500)

        async def differing() -> dict[str, Any]:
            found = await intervals(connection)
            return {
                key: found.get(key) for key in problems.keys() | found.keys() if found.get(key) != problems.get(key)
            }

        try:
            await eventually(differing, lambda rest: not rest)
            assert await visits(connection) == stays
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("replicas", "batch", "mangle", "kill"),
    [(1, 500, unchanged, False), (2, 500, duplicated_and_delayed, False), (4, 2000, duplicated_and_delayed, True)],
)
async def test_the_real_log_gives_exactly_the_expected_problems(
    replicas: int,
    batch: int,
    mangle: Callable[[Lines, random.Random], Lines],
    kill: bool,
    bpic2012: Path,
    kafka: str,
    dsn: str,
    prefix: str,
    tmp_path: Path,
) -> None:
    lines = beginning(bpic2012, 105_716 if kill else PART)

    await check(replicas, batch, mangle, kill, lines, bpic2012 / "policy.yaml", kafka, dsn, prefix, tmp_path)


async def test_the_number_of_partitions_does_not_matter(bpic2012: Path, kafka: str, dsn: str, tmp_path: Path) -> None:
    prefix = f"many-{secrets.token_hex(4)}."
    await create_topics(KafkaAccess(kafka), prefix, partitions=9)
    lines = beginning(bpic2012, PART)

    await check(2, 500, duplicated_and_delayed, False, lines, bpic2012 / "policy.yaml", kafka, dsn, prefix, tmp_path)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("batch", "number"), [(1, 1000), (17, 8000)])
async def test_small_batches_give_the_same(
    batch: int, number: int, bpic2012: Path, kafka: str, dsn: str, prefix: str, tmp_path: Path
) -> None:
    lines = beginning(bpic2012, number)

    await check(1, batch, unchanged, False, lines, bpic2012 / "policy.yaml", kafka, dsn, prefix, tmp_path)
