"""Readiness and the metric of servers follow what these answer; the reason is in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.demo.ports import free_port
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.postgres.probe import PostgresProbe
from shared.runtime import dependencies
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.service import health_routes
from tests.support.waiting import eventually

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A frozen server: takes the connection and says nothing."""
    await reader.read()
    writer.close()


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Another kind of server."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])


def watched(port: int, registry: CollectorRegistry) -> Dependencies:
    dsn = f"postgresql://andon@127.0.0.1:{port}/andon"
    kafka = partial(probe.ping, KafkaAccess(f"127.0.0.1:{port}"), 0.2)
    return Dependencies({"Kafka": kafka, "Postgres": PostgresProbe(dsn)}, registry)


async def faults(port: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(dependencies, "TIMEOUT_SECONDS", 0.3)
    asked = watched(port, CollectorRegistry())
    running = asyncio.ensure_future(asked.run())
    try:

        async def known() -> dict[str, str]:
            return asked.unavailable()

        return await eventually(known, lambda found: dependencies.NOT_ASKED not in found.values())
    finally:
        running.cancel()


async def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await faults(free_port(), monkeypatch)

    assert found == dict.fromkeys(("Kafka", "Postgres"), "nothing listens there")


async def test_a_frozen_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(silent) as port:
        found = await faults(port, monkeypatch)

    assert found.keys() == {"Kafka", "Postgres"}
    assert all(text.startswith("no answer within") for text in found.values())


async def test_another_kind_of_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(web) as port:
        found = await faults(port, monkeypatch)

    assert found.keys() == {"Kafka", "Postgres"}


async def test_readiness_and_the_metric_follow_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "INTERVAL_SECONDS", 0.01)
    answers, registry = True, CollectorRegistry()

    async def kafka() -> None:
        if not answers:
            raise ConnectionRefusedError

    asked = Dependencies({"Kafka": kafka}, registry)
    routes = health_routes(Progress(), asked, registry)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://andon")

    async def state() -> tuple[int, float | None]:
        up = registry.get_sample_value("andon_dependency_up", {"to": "kafka"})
        return (await client.get("/readyz")).status_code, up

    def last_ok() -> float | None:
        return registry.get_sample_value("andon_dependency_last_ok_timestamp_seconds", {"to": "kafka"})

    assert await state() == (503, None), "not asked yet"
    assert last_ok() == 0, "never yet"
    running = asyncio.ensure_future(asked.run())
    await eventually(state, lambda found: found == (200, 1))
    answers = False
    await eventually(state, lambda found: found == (503, 0))
    assert (await client.get("/readyz")).json()["unavailable"] == {"Kafka": "nothing listens there"}
    answered = last_ok()
    assert answered is not None
    assert abs(answered - time.time()) < 600
    await asyncio.sleep(0.05)
    assert last_ok() == answered, "it stands still while the server is unavailable"
    answers = True
    await eventually(state, lambda found: found == (200, 1))
    running.cancel()
    await client.aclose()
