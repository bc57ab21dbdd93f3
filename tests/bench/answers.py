"""Latency of intake at a steady rate, and its throughput with arrays of a hundred events."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from services.simulator.dialects import DIALECTS
from tests.bench.figures import Figure, at_most
from tests.bench.intake import SECRET, URL, sources, webhook
from tests.bench.load import flood, paced, post
from tests.support.processes import ServiceProcess

SECONDS, ROUNDS = 30, 5
EVENTS, ARRAYS = 100, 300


def request(body: bytes) -> bytes:
    """One request, signed now."""
    sent = DIALECTS["hubspot"](SECRET, URL).sign(body, datetime.now(UTC))
    return post("/v1/ingest/crm", dict(sent.headers), sent.body)


def array(first: int) -> bytes:
    return json.dumps([json.loads(webhook(number))[0] for number in range(first, first + EVENTS)]).encode()


async def measure(kafka: str, prefix: str, folder: Path, per_second: int, show: Callable[[str], None]) -> list[Figure]:
    """Each request costs one write to the broker; tests/integration/intake/test_round_trips.py counts them."""
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_SOURCES": str(sources(folder)),
    }
    intake = ServiceProcess("intake", environment, folder).start().ready()
    try:
        show(f"answers at {per_second} requests a second for {SECONDS} s")
        await paced(intake.port, lambda n: request(webhook(n)), per_second, per_second, lambda n: None)
        steady = await paced(
            intake.port, lambda n: request(webhook(n)), per_second * SECONDS, per_second, lambda n: None
        )
        assert set(steady.statuses) == {202}, steady.statuses
        speeds = []
        for number in range(ROUNDS):
            show(f"arrays of {EVENTS} events, round {number + 1} of {ROUNDS}")
            outcome = await flood(intake.port, [request(array(n * EVENTS)) for n in range(ARRAYS)], connections=10)
            assert set(outcome.statuses) == {202}, outcome.statuses
            speeds.append(outcome.per_second * EVENTS)
    finally:
        intake.stop()
    return [
        Figure(f"answer p50 at {per_second} requests/s", steady.quantile(0.5) * 1000, "ms"),
        at_most(f"answer p99 at {per_second} requests/s", steady.quantile(0.99) * 1000, "ms", 50),
        Figure("arrays of 100 events, 10 at once", statistics.median(speeds), "events/s"),
    ]
