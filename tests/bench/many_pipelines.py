"""A policy of a thousand pipelines with twenty stages each: how long it takes to read and start, and what it costs."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from shared.contracts.envelope import iso
from shared.policy import load
from shared.postgres.migrate import migrate_all
from tests.bench.detector import environment, events_read, publish
from tests.bench.figures import Figure
from tests.bench.usage import Meters, processor_seconds, resident_memory
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

STAGES, SERVICES = 20, ("detector", "analyst", "tickets", "notifier")
_START_SECONDS, _READ_SECONDS = 900, 3600
_PASS = re.compile(r"^andon_detector_pass_seconds_(sum|count) (\S+)$", re.MULTILINE)


async def measure(
    kafka: str, dsn: str, prefix: str, folder: Path, pipelines: int, events: int, show: Callable[[str], None]
) -> list[Figure]:
    """Start the services one after another, then let the detector read `events` events of all pipelines."""
    path = folder / "many-pipelines.yaml"
    path.write_text(policy_text(pipelines))
    show(f"{pipelines} pipelines: reading the policy")
    before = time.process_time()
    load(path)
    figures = [Figure("policy read, processor time", time.process_time() - before, "s")]
    await migrate_all(dsn)
    connection = await asyncpg.connect(dsn)
    services = {}
    for name in SERVICES:
        show(f"{pipelines} pipelines: starting {name}")
        services[name] = ServiceProcess(name, environment(kafka, dsn, prefix, path), folder).start()
        figures += _started(name, services[name])
    show(f"{pipelines} pipelines: reading {events:,} events")
    figures += await _rate(kafka, dsn, connection, services["detector"], _moves(pipelines, events), prefix)
    for name, service in services.items():
        figures += _running(name, service)
    await connection.close()
    for service in services.values():
        service.stop()
    return [Figure(f"{pipelines} pipelines, {one.name}", one.value, one.unit) for one in figures]


def policy_text(pipelines: int) -> str:
    """Each stage has two rules on what is in it, each pipeline one on its weeks. JSON is YAML."""
    names = [f"s{n}" for n in range(STAGES)]
    rules = [{"kind": "wip-high", "stage": name, "max": 200, "hold": "1d"} for name in names]
    rules += [{"kind": "aging", "stage": name, "limit": "30d", "count": 20} for name in names]
    one = {
        "owner": {"name": "Head of sales", "mail": "sales@andon.example"},
        "stages": [{"id": name, "name": f"Stage {name}"} for name in names],
        "rules": [*rules, {"kind": "shift"}],
    }
    listed = {f"p{n}": {"name": f"Pipeline {n}", **one} for n in range(pipelines)}
    return json.dumps({"version": 1, "pipelines": listed}, indent=1)


def _moves(pipelines: int, events: int) -> Iterator[dict[str, Any]]:
    """Deals of all pipelines, five moves each, over the last week."""
    chance, began = random.Random(18), datetime.now(UTC) - timedelta(days=7)
    for number in range(events):
        deal = number % max(1, events // 5)
        yield {
            "specversion": "1.0",
            "id": str(number),
            "source": "crm",
            "type": "andon.deal.moved",
            "subject": f"crm:{deal}",
            "time": iso(began + number * timedelta(days=7) / events),
            "data": {"pipeline": f"p{deal % pipelines}", "stage": f"s{chance.randrange(STAGES)}"},
        }


def _started(name: str, service: ServiceProcess) -> list[Figure]:
    began = time.perf_counter()
    service.ready(_START_SECONDS)
    process = psutil.Process(service.pid)
    return [
        Figure(f"{name} ready after", time.perf_counter() - began, "s"),
        Figure(f"{name} until ready, processor time", processor_seconds(process), "s"),
    ]


async def _rate(
    kafka: str,
    dsn: str,
    connection: asyncpg.Connection,
    detector: ServiceProcess,
    events: Iterator[dict[str, Any]],
    prefix: str,
) -> list[Figure]:
    """Of the detector, from the first event published to the last one applied, and its evaluation passes meanwhile."""
    meters = Meters(connection, kafka, dsn)
    meters.watch("detector", [detector.pid])
    before, passes, began = await meters.read(), _passes(detector), time.perf_counter()
    total = await publish(kafka, prefix, events)
    await eventually(lambda: events_read(connection), lambda read: read >= total, _READ_SECONDS)
    seconds, spent, later = time.perf_counter() - began, (await meters.read()).since(before), _passes(detector)
    made = later["count"] - passes["count"]
    return [
        Figure("rate, publishing included", total / seconds, "events/s"),
        Figure("evaluation passes meanwhile", made, ""),
        Figure("an evaluation pass", (later["sum"] - passes["sum"]) / max(1.0, made), "s"),
        *spent.per_event("an event", total),
    ]


def _passes(detector: ServiceProcess) -> Mapping[str, float]:
    """Seconds of all evaluation passes (`sum`), and how many they were (`count`)."""
    return {name: float(value) for name, value in _PASS.findall(detector.get("/metrics"))}


def _running(name: str, service: ServiceProcess) -> list[Figure]:
    shown = service.get("/metrics")
    return [
        Figure(f"memory of {name}", resident_memory(psutil.Process(service.pid)), "MB"),
        Figure(f"series on /metrics of {name}", len(series_of(shown)), ""),
        Figure(f"/metrics of {name}", len(shown) / 1e6, "MB"),
    ]


def series_of(shown: str) -> list[str]:
    """The lines of an answer of /metrics that are samples."""
    return [line for line in shown.splitlines() if line and not line.startswith("#")]
