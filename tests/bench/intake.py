"""Webhooks a second: intake against the bare handler, turn by turn on one broker."""

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

from services.demo.kafka import answers
from services.simulator import run
from services.simulator.dialects import DIALECTS
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.load import Outcome, flood, post
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess

SECRET, URL = "the-secret-of-the-bench", "https://hooks.example.org/v1/ingest/crm"
REQUESTS = 8000


def webhook(number: int) -> bytes:
    """One HubSpot event, as most of their requests are."""
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
    """Requests of a CRM as they come: HubSpot's with one event, the others' with a whole deal."""
    if kind == "hubspot":
        return [webhook(number) for number in range(first, first + count)]
    dialect, found = DIALECTS[kind](), list[bytes]()
    for seed in itertools.count(first):
        for one in run.history(seed, 180, datetime.now(UTC)):
            found += [dialect.body(document) for document in dialect.say(one)]
        if len(found) >= count:
            return found[:count]
    raise AssertionError


def requests(first: int, count: int = REQUESTS, kind: str = "hubspot") -> list[bytes]:
    """Signed as of now."""
    dialect, made = DIALECTS[kind](SECRET, URL), []
    for body in bodies(kind, first, count):
        sent = dialect.signed(body, datetime.now(UTC))
        path = "/v1/ingest/crm" + (f"?{sent.query}" if sent.query else "")
        made.append(post(path, dict(sent.headers), sent.body))
    return made


def sources(folder: Path, kind: str = "hubspot") -> Path:
    file = folder / f"{kind}.yaml"
    own = {"hubspot": {"public_url": URL}}.get(kind, DIALECTS[kind].settings)
    file.write_text(json.dumps({"sources": {"crm": {"kind": kind, "secrets": [SECRET], **own}}}))
    return file


async def measure(kafka: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """Each kind of body against the bare handler with the same check; then arrays of a hundred events."""
    figures = []
    for kind, least in (("hubspot", 0.9), ("pipedrive", 0.85), ("salesforce", 0.85)):
        figures += await measure_kind(kind, least, kafka, prefix, folder, rounds, show)
    return figures


async def measure_kind(
    kind: str, least: float, kafka: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Medians of `rounds` turns each."""
    product = ServiceProcess(
        "intake",
        {"ANDON_KAFKA": kafka, "ANDON_TOPIC_PREFIX": prefix, "ANDON_SOURCES": str(sources(folder, kind))},
        folder,
    )
    product.start().ready()
    port = free_port()
    bare = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.bench.bare_intake",
            str(port),
            kafka,
            f"{prefix}pipeline.events",
            SECRET,
            URL,
            kind,
        ]
    )
    while not answers(port):
        await asyncio.sleep(0.1)
    turns: dict[str, list[Outcome]] = {"product": [], "bare": []}
    for number in range(rounds + 1):
        for name, at in (("bare", port), ("product", product.port)):
            show(f"intake, {kind}, turn {number} of {rounds}: {name}")
            outcome = await flood(at, requests(number * REQUESTS, kind=kind), connections=32)
            assert set(outcome.statuses) <= {200, 202}, outcome.statuses
            # The first turn warms up.
            turns[name] += [outcome] if number else []
    memory = psutil.Process(product.pid).memory_info().rss / 2**20
    product.stop()
    bare.terminate()
    bare.wait()
    speed = {name: statistics.median(o.per_second for o in some) for name, some in turns.items()}
    ratio = statistics.median(
        mine.per_second / other.per_second for mine, other in zip(turns["product"], turns["bare"], strict=True)
    )
    late = statistics.median(o.quantile(0.99) for o in turns["product"])
    return [
        Figure(f"bare handler, {kind}", speed["bare"], "webhooks/s"),
        Figure(f"intake, {kind}", speed["product"], "webhooks/s"),
        at_least(f"intake against bare, {kind}", ratio, "x", least),
        Figure(f"intake p99 under full load, {kind}", late * 1000, "ms"),
        at_most(f"memory of intake, {kind}", memory, "MB", 150),
    ]
