"""What it costs one broker to have each webhook on its disk, and not only in memory, before it is answered."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shared.contracts.topics import ALL_TOPICS
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.bench.answers import request
from tests.bench.figures import Figure
from tests.bench.intake import requests, sources, webhook
from tests.bench.load import flood, paced
from tests.support.processes import ServiceProcess

ROUNDS, REQUESTS, CONNECTIONS = 3, 4000, 32
FLUSHED = tuple(replace(topic, config=topic.config | {"flush.messages": "1"}) for topic in ALL_TOPICS)
WAYS = {"left in memory": ALL_TOPICS, "flushed": FLUSHED}


async def measure(
    kafka: str, new_prefix: str, folder: Path, per_second: int, seconds: int, show: Callable[[str], None]
) -> list[Figure]:
    """Answers at a steady rate, and all that intake takes, in turn with and without. TMPDIR must be on a disk."""
    services: dict[str, ServiceProcess] = {}
    for way, topics in WAYS.items():
        prefix = f"{new_prefix}{way[0]}."
        await create_topics(KafkaAccess(kafka), prefix, topics)
        environment = {"ANDON_KAFKA": kafka, "ANDON_TOPIC_PREFIX": prefix, "ANDON_SOURCES": str(sources(folder))}
        services[way] = ServiceProcess("intake", environment, folder).start().ready()
    try:
        figures = []
        for way, service in services.items():
            show(f"{way}: answers at {per_second} requests a second for {seconds} s")
            await paced(service.port, lambda n: request(webhook(n)), per_second, per_second, lambda n: None)
            steady = await paced(
                service.port, lambda n: request(webhook(n)), per_second * seconds, per_second, lambda n: None
            )
            assert set(steady.statuses) == {202}, steady.statuses
            for share in (0.5, 0.99):
                name = f"{way}: answer p{share * 100:.0f} at {per_second} requests/s"
                figures.append(Figure(name, steady.quantile(share) * 1000, "ms"))
        return figures + await _most(services, show)
    finally:
        for service in services.values():
            service.stop()


async def _most(services: dict[str, ServiceProcess], show: Callable[[str], None]) -> list[Figure]:
    rates: dict[str, list[float]] = {way: [] for way in services}
    for number in range(ROUNDS):
        for way, service in services.items():
            show(f"{way}: as many as it takes, round {number + 1} of {ROUNDS}")
            outcome = await flood(service.port, requests(number * REQUESTS, REQUESTS), connections=CONNECTIONS)
            assert set(outcome.statuses) == {202}, outcome.statuses
            rates[way].append(outcome.per_second)
    return [
        Figure(f"{way}: webhooks, {CONNECTIONS} at once", statistics.median(found), "requests/s", rounds=tuple(found))
        for way, found in rates.items()
    ]
