"""`/metrics` shares a port with webhooks: asking often must not cost much."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette

from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.service import health_routes


class Collections(Collector):
    """A metric that counts how often it was collected."""

    count = 0

    def collect(self) -> Iterable[GaugeMetricFamily]:
        self.count += 1
        return [GaugeMetricFamily("collections", "Collections.", value=self.count)]


async def test_metrics_are_generated_once_for_many_requests() -> None:
    registry, collections = CollectorRegistry(), Collections()
    registry.register(collections)
    routes = health_routes(Progress(), Dependencies({}, registry), registry)
    transport = httpx.ASGITransport(Starlette(routes=routes))
    before = collections.count

    async with httpx.AsyncClient(transport=transport, base_url="http://andon") as client:
        answers = [(await client.get("/metrics")).text for _ in range(20)]

    assert "collections" in answers[0]
    # A slow machine may pass a second between two of them.
    assert collections.count - before < len(answers) / 2
