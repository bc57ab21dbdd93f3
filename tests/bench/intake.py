"""Webhooks a second: intake against the bare handler, turn by turn on one broker."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from services.demo.kafka import answers, free_port
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.load import Outcome, flood, post
from tests.support.processes import ServiceProcess
from tests.unit.intake.support import signed_v3

SECRET, URL = "the-secret-of-the-bench", "https://hooks.example.org/v1/ingest/crm"
REQUESTS = 8000


def webhook(number: int) -> bytes:
    """One HubSpot event, as most of their requests are."""
    return json.dumps([{
        "eventId": number, "subscriptionId": 5500101, "portalId": 48112233, "appId": 7654321, "attemptNumber": 0,
        "occurredAt": int(time.time() * 1000), "subscriptionType": "deal.propertyChange", "objectId": number % 500,
        "propertyName": "amount", "propertyValue": str(number), "changeSource": "CRM_UI", "sourceId": "userId:1",
    }]).encode()  # fmt: skip


def requests(first: int, count: int = REQUESTS) -> list[bytes]:
    made = []
    for number in range(first, first + count):
        body = webhook(number)
        made.append(post("/v1/ingest/crm", signed_v3(body, SECRET, str(int(time.time() * 1000)), URL), body))
    return made


def sources(folder: Path) -> Path:
    file = folder / "sources.yaml"
    file.write_text(f'sources: {{crm: {{kind: hubspot, secrets: [{SECRET}], public_url: "{URL}"}}}}')
    return file


async def measure(kafka: str, prefix: str, folder: Path, rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """Medians of `rounds` turns each."""
    product = ServiceProcess(
        "intake", {"ANDON_KAFKA": kafka, "ANDON_TOPIC_PREFIX": prefix, "ANDON_SOURCES": str(sources(folder))}, folder
    )
    product.start().ready()
    port = free_port()
    bare = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare_intake", str(port), kafka, f"{prefix}pipeline.events", SECRET, URL]
    )
    while not answers(port):
        await asyncio.sleep(0.1)
    turns: dict[str, list[Outcome]] = {"product": [], "bare": []}
    for number in range(rounds + 1):
        for name, at in (("bare", port), ("product", product.port)):
            show(f"intake, turn {number} of {rounds}: {name}")
            outcome = await flood(at, requests(number * REQUESTS), connections=32)
            assert set(outcome.statuses) == {202}, outcome.statuses
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
    return [
        Figure("intake, bare handler", speed["bare"], "webhooks/s"),
        Figure("intake", speed["product"], "webhooks/s"),
        at_least("intake against bare", ratio, "x", 0.9),
        Figure(
            "intake p99 under full load", statistics.median(o.quantile(0.99) for o in turns["product"]) * 1000, "ms"
        ),
        at_most("memory of intake", memory, "MB", 150),
    ]
