"""The shop's log through Kafka, detectors, analysts and Postgres: weeks and problems are those of what-if."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from services.cli.what_if_json import interval_json
from shared.contracts.envelope import iso
from shared.contracts.topics import EVENTS
from shared.flow.what_if import Found, find
from shared.policy import load
from shared.runtime.instants import moment
from tests.support.event_lines import read_events, receipts_of
from tests.support.printed_log import folder
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.system.test_real_log import (
    Connection,
    Lines,
    detectors,
    duplicated_and_delayed,
    evaluated_until,
    publish,
    read_lines,
    within_lateness,
)

KINDS = ("shift", "rework", "slipping", "bottleneck", "silence")
# Of the log's 156 weeks; in some of them windows fire already.
DAYS = 300
_POINTS = """
SELECT concat_ws('/', pipeline, coalesce(nullif(stage, ''), '-'), measure) AS chart, start_at, exact
FROM flow.measure WHERE period = 'week'
"""
_PROBLEMS = "SELECT key, opened_at, cleared_at, peak FROM analysis.problem ORDER BY key, opened_at"


def first_days(lines: Lines) -> Lines:
    """Each event once, of the first days."""
    end = min(at for at, _, _ in lines) + DAYS * 86_400_000
    return [line for line in dict.fromkeys(lines) if line[0] < end]


def expected_points(found: Found) -> dict[tuple[str, Any], Fraction | None]:
    measures = found.statistics.measures
    return {
        (chart.name, moment(measures.weeks.start(week))): None if v is None else Fraction(v, chart.column.scale)
        for chart, values in measures.values.items()
        for week, v in enumerate(values)
    }


async def stored_points(connection: Connection) -> dict[tuple[str, Any], Fraction | None]:
    rows = await connection.fetch(_POINTS)
    return {(r["chart"], r["start_at"]): None if r["exact"] is None else Fraction(r["exact"]) for r in rows}


async def stored_problems(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await connection.fetch(_PROBLEMS):
        cleared = None if row["cleared_at"] is None else iso(row["cleared_at"])
        one = {"opened_at": iso(row["opened_at"]), "cleared_at": cleared, "peak": row["peak"]}
        found.setdefault(row["key"], []).append(one)
    return found


@asynccontextmanager
async def analysts(
    count: int, kafka: str, dsn: str, prefix: str, policy: Path, logs: Path
) -> AsyncIterator[list[ServiceProcess]]:
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_POLICY": str(policy),
        "ANDON_TOPIC_PREFIX": prefix,
    }
    replicas = [ServiceProcess("analyst", environment, logs).start() for _ in range(count)]
    try:
        for replica in replicas:
            replica.ready()
        yield replicas
    finally:
        for replica in replicas:
            replica.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_weeks_of_the_shop_are_those_of_what_if(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> None:
    policy, seed = folder("shop") / "policy.yaml", random.Random(3)
    lines = first_days(read_lines(folder("shop") / "events.jsonl.gz"))
    read = read_events(line for _, _, line in lines)
    last = max(event.key.time for event in read.events)
    found = find(read.events, load(policy), last, receipts=receipts_of(read))
    problems = {
        key: [interval_json(one) for one in some]
        for key, some in found.problems.items()
        if some and key.partition("/")[0] in KINDS
    }
    assert {"shift", "silence"} <= {key.partition("/")[0] for key in problems}

    chunks = within_lateness(duplicated_and_delayed(lines, seed))
    async with (
        detectors(3, kafka, dsn, prefix, policy, tmp_path) as running,
        analysts(3, kafka, dsn, prefix, policy, tmp_path) as judging,
    ):
        for part in range(6):
            begin, end = len(chunks) * part // 6, len(chunks) * (part + 1) // 6
            await publish(kafka, prefix + EVENTS, chunks[begin:end])
            victim = seed.choice([*running, *judging])
            victim.kill()
            victim.start()
        connection = await evaluated_until(dsn, last // 1000 * 1000)
        try:
            wanted = expected_points(found)
            await eventually(lambda: stored_points(connection), lambda points: points == wanted, 90)
            await eventually(lambda: stored_problems(connection), lambda some: some == problems, 60)
        finally:
            await connection.close()
