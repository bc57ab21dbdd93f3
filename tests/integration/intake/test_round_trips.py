"""A request, however many events it holds, is one write to the broker: its latency is that of one round trip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiokafka.protocol.produce import ProduceRequest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.intake.delivery import Delivery
from services.intake.http import IngestEndpoint
from services.intake.ingest import Ingest
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import MemoryBudget
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.runtime.health import Progress
from tests.integration.intake.test_line_to_kafka import events
from tests.support.webhooks import SECRET, URL, signed_v3, source


class CountingPublisher(Publisher):
    """A publisher that counts the produce requests its producer sends."""

    def __init__(self, kafka: KafkaAccess) -> None:
        super().__init__(kafka)
        self.writes = 0

    async def start(self) -> None:
        await super().start()
        client = self._producer.client
        if not hasattr(client, "counted"):
            client.send, client.counted = self._counting(client.send), True

    def _counting(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def counting(node: int, request: Any, **named: Any) -> Any:
            self.writes += isinstance(request, ProduceRequest)
            return send(node, request, **named)

        return counting


@asynccontextmanager
async def intake(kafka: str, prefix: str) -> AsyncIterator[tuple[httpx.AsyncClient, CountingPublisher]]:
    metrics, publisher = IntakeMetrics(CollectorRegistry(), ["acme"]), CountingPublisher(KafkaAccess(kafka))
    delivery = Delivery(publisher, metrics, Progress())
    endpoint = IngestEndpoint(
        Ingest({"acme": source("hubspot")}, delivery, metrics, prefix, MemoryBudget(2**25)).answer, Starlette()
    )
    looking = asyncio.ensure_future(delivery.run())
    while not delivery.available:
        await asyncio.sleep(0.02)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint)) as client:
            yield client, publisher
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        await publisher.stop()


async def every_partition_was_written_to(client: httpx.AsyncClient) -> None:
    """A broker may not lead the partitions of a topic just made: the producer then asks again, one request more."""
    assert await post(client, events(100)) == 202


async def post(client: httpx.AsyncClient, body: bytes) -> int:
    headers = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
    return (await client.post("http://intake/v1/ingest/acme", content=body, headers=headers)).status_code


async def test_an_array_of_a_hundred_events_is_one_round_trip(kafka: str, prefix: str) -> None:
    async with intake(kafka, prefix) as (client, publisher):
        await every_partition_was_written_to(client)
        before = publisher.writes
        for number in range(20):
            assert await post(client, events(100, first=number * 100)) == 202
            assert publisher.writes == before + number + 1


async def test_requests_that_come_together_share_round_trips(kafka: str, prefix: str) -> None:
    async with intake(kafka, prefix) as (client, publisher):
        await every_partition_was_written_to(client)
        before = publisher.writes
        answers = await asyncio.gather(*(post(client, events(10, first=10 * number)) for number in range(40)))

    assert answers == [202] * 40
    assert publisher.writes - before <= 10
