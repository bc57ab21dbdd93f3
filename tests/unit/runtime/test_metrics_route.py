"""`/metrics` shares a port with webhooks: asking often must not cost much."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette

from shared.runtime import service
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.service import health_routes
from tests.support.waiting import eventually


class Collections(Collector):
    """A metric that counts how often it was collected."""

    count = 0

    def collect(self) -> Iterable[GaugeMetricFamily]:
        self.count += 1
        return [GaugeMetricFamily("collections", "Collections.", value=self.count)]


class SlowCollections(Collections):
    """Is collected only once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        self.may.wait()
        return super().collect()


async def test_many_series_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "METRICS_SECONDS", 0)
    registry, collections = CollectorRegistry(), SlowCollections()
    registry.register(collections)
    latest = service.LatestMetrics(registry)

    before = await latest.text()
    collections.may.clear()
    meanwhile = [await latest.text() for _ in range(3)]
    collections.may.set()
    after = await eventually(latest.text, lambda text: text != before, 10)

    assert b"collections" in before
    assert meanwhile == [before] * 3
    assert b"collections" in after


async def test_a_fault_of_a_metric_is_not_an_empty_answer() -> None:
    class Faulty(Collections):
        def collect(self) -> Iterable[GaugeMetricFamily]:
            raise ValueError

    registry = CollectorRegistry()
    registry.register(Faulty())
    routes = health_routes(Progress(), Dependencies({}, registry), registry)
    transport = httpx.ASGITransport(Starlette(routes=routes))

    async with httpx.AsyncClient(transport=transport, base_url="http://andon") as client:
        assert (await client.get("/metrics")).status_code == 500


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
