"""Webhooks a second: intake against the bare handler, in turn on one broker."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from services.demo.ports import free_port
from services.demo.server import answers
from services.simulator import run
from services.simulator.dialects import DIALECTS
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.load import Outcome, flood, post
from tests.support.processes import ServiceProcess

SECRET, URL = "the-secret-of-the-bench", "https://hooks.example.org/v1/ingest/crm"
REQUESTS = 8000


def webhook(number: int) -> bytes:
    """A HubSpot request with one event, the usual size."""
    return json.dumps(
        [
            {
                "eventId": number,
                "subscriptionId": 5500101,
                "portalId": 48112233,
                "appId": 7654321,
                "attemptNumber": 0,
                "occurredAt": int(time.time() * 1000),
                "subscriptionType": "deal.propertyChange",
                "objectId": number % 500,
                "propertyName": "amount",
                "propertyValue": str(number),
                "changeSource": "CRM_UI",
                "sourceId": "userId:1",
            }
        ]
    ).encode()


def bodies(kind: str, first: int, count: int = REQUESTS) -> list[bytes]:
    """Bodies as the CRM sends them: one event from HubSpot, a whole deal from the others."""
    if kind == "hubspot":
        return [webhook(number) for number in range(first, first + count)]
    dialect, found = DIALECTS[kind](), list[bytes]()
    for seed in itertools.count(first):
        for one in run.history(seed, 180, datetime.now(UTC)):
            found += [dialect.body(document) for document in dialect.documents(one)]
        if len(found) >= count:
            return found[:count]
    raise AssertionError


def requests(first: int, count: int = REQUESTS, kind: str = "hubspot") -> list[bytes]:
    """Requests, signed now."""
    dialect, made = DIALECTS[kind](SECRET, URL), []
    for body in bodies(kind, first, count):
        sent = dialect.sign(body, datetime.now(UTC))
        path = "/v1/ingest/crm" + (f"?{sent.query}" if sent.query else "")
        made.append(post(path, dict(sent.headers), sent.body))
    return made


def sources(folder: Path, kind: str = "hubspot") -> Path:
    file = folder / f"{kind}.yaml"
    own = {"hubspot": {"public_url": URL}}.get(kind, DIALECTS[kind].settings)
    file.write_text(json.dumps({"sources": {"crm": {"kind": kind, "secrets": [SECRET], **own}}}))
    return file


async def measure(kafka: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """Each CRM's requests against the bare handler with the same authentication."""
    figures = []
    for kind, least in (("hubspot", 0.9), ("pipedrive", 0.85), ("salesforce", 0.85)):
        figures += await measure_kind(kind, least, kafka, prefix, folder, rounds, show)
    return figures


async def measure_kind(
    kind: str, least: float, kafka: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Medians of `rounds` rounds."""
    environment = {"ANDON_KAFKA": kafka, "ANDON_TOPIC_PREFIX": prefix, "ANDON_SOURCES": str(sources(folder, kind))}
    product = ServiceProcess("intake", environment, folder).start().ready()
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare_intake", str(port), kafka, f"{prefix}pipeline.events"]
    bare = subprocess.Popen([*command, SECRET, URL, kind])
    while not answers(port):
        await asyncio.sleep(0.1)
    outcomes: dict[str, list[Outcome]] = {"product": [], "bare": []}
    for number in range(rounds + 1):
        for name, at in (("bare", port), ("product", product.port)):
            show(f"intake, {kind}, round {number} of {rounds}: {name}")
            outcome = await flood(at, requests(number * REQUESTS, kind=kind), connections=32)
            assert set(outcome.statuses) <= {200, 202}, outcome.statuses
            # The first round warms up.
            outcomes[name] += [outcome] if number else []
    memory = psutil.Process(product.pid).memory_info().rss / 2**20
    product.stop()
    bare.terminate()
    bare.wait()
    return figures_of(kind, least, outcomes["product"], outcomes["bare"], memory)


def figures_of(kind: str, least: float, product: list[Outcome], bare: list[Outcome], memory: float) -> list[Figure]:
    """`least`: the share of the baseline's speed to reach; `memory` in MB."""
    ratio = statistics.median(mine.per_second / other.per_second for mine, other in zip(product, bare, strict=True))
    p99 = statistics.median(outcome.quantile(0.99) for outcome in product)
    return [
        Figure(f"bare handler, {kind}", statistics.median(o.per_second for o in bare), "webhooks/s"),
        Figure(f"intake, {kind}", statistics.median(o.per_second for o in product), "webhooks/s"),
        at_least(f"intake against bare, {kind}", ratio, "x", least),
        Figure(f"intake p99 under full load, {kind}", p99 * 1000, "ms"),
        at_most(f"memory of intake, {kind}", memory, "MB", 150),
    ]
