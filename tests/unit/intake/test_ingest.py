"""A fault in a translator costs no event: the request is kept whole, and the sender gets its 2xx."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.intake.delivery import BrokerUnavailable
from services.intake.http import IngestEndpoint
from services.intake.ingest import Ingest
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import MemoryBudget
from services.intake.received import request_records
from shared.connectors.base.source import Request
from shared.contracts.dead import DeadEvent
from shared.contracts.topics import RECEIVED
from shared.kafka.publisher import OutgoingMessage
from shared.runtime.http_limits import MAX_HEAD_BYTES
from tests.support.webhooks import NOW, TOKEN, source


class RecordedDelivery:
    """Where messages would go on to Kafka."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        self.messages += messages


async def test_what_a_broken_translator_could_not_read_is_kept() -> None:
    crm, delivered = source("cloudevents"), RecordedDelivery()

    def broken(request: Any) -> Any:
        raise KeyError("a fault of ours")

    crm.translate = broken  # type: ignore[method-assign]
    delivery: Any = delivered
    ingest = Ingest({"acme": crm}, delivery, IntakeMetrics(CollectorRegistry(), ["acme"]), "", MemoryBudget(2**25))
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(
            "/v1/ingest/acme",
            content=b"{}",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents+json"},
        )

    assert (answer.status_code, answer.json()["dead"]) == (202, 1)
    came, letter = delivered.messages
    assert (came.topic, came.value) == (RECEIVED, b"{}")
    assert not any(TOKEN.encode() in value for _, value in came.headers)
    assert json.loads(letter.value)["data"]["body"] == "e30="
    assert "KeyError" in DeadEvent.model_validate_json(letter.value).data.detail


@pytest.mark.parametrize(
    ("path", "status", "unknown"), [("acme", 401, 0), ("acme/", 401, 0), ("acme//", 404, 1), ("acne", 404, 1)]
)
async def test_a_slash_at_the_end_is_passed_over_and_an_unknown_source_counted(
    path: str, status: int, unknown: int
) -> None:
    registry, delivery = CollectorRegistry(), RecordedDelivery()
    taken: Any = delivery
    ingest = Ingest({"acme": source("cloudevents")}, taken, IntakeMetrics(registry, ["acme"]), "", MemoryBudget(2**25))
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(f"/v1/ingest/{path}", content=b"{}")

    assert answer.status_code == status
    assert registry.get_sample_value("andon_intake_unknown_sources_total") == unknown


async def test_a_field_that_was_left_out_is_reported_to_the_sender_and_counted() -> None:
    registry, delivery = CollectorRegistry(), RecordedDelivery()
    taken: Any = delivery
    ingest = Ingest({"acme": source("cloudevents")}, taken, IntakeMetrics(registry, ["acme"]), "", MemoryBudget(2**25))
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))
    event = {"specversion": "1.0", "id": "1", "source": "x", "type": "deal.moved", "time": "2026-03-10T09:00:00Z"}
    body = event | {"data": {"id": "801", "stage": "s", "amount": "much"}}
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(
            "/v1/ingest/acme",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents+json"},
        )

    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert "data.amount: 'much' is not an amount" in answer.json()["left_out"][0]
    assert json.loads(delivery.messages[-1].value)["data"] == {"stage": "s"}
    labels = {"source": "acme", "field": "amount"}
    assert registry.get_sample_value("andon_intake_fields_left_out_total", labels) == 1


async def test_the_memory_of_what_a_large_body_becomes_is_counted() -> None:
    delivery, budget = RecordedDelivery(), MemoryBudget(2**20)
    taken: Any = delivery
    metrics = IntakeMetrics(CollectorRegistry(), ["acme"])
    ingest = Ingest({"acme": source("cloudevents")}, taken, metrics, "", budget)
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents-batch+json"}
    nulls = b"[" + b",".join([b"null"] * 100_000) + b"]"
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        alone = await client.post("/v1/ingest/acme", content=nulls, headers=headers)
        other = budget.reserve("other")
        assert other.grow(2**18)
        beside = await client.post("/v1/ingest/acme", content=nulls, headers=headers)

    assert (alone.status_code, alone.json()["dead"]) == (202, 1)
    assert len(delivery.messages) == 2
    assert beside.status_code == 429
    assert budget.used == other.held


def test_no_record_of_a_request_is_larger_than_kafka_takes() -> None:
    """One that is would fail together with all that are written with it."""
    head = {"x-signature": "\xff" * (MAX_HEAD_BYTES // 2)}
    request = Request("POST", head, "a=" + "\xff" * (MAX_HEAD_BYTES // 2), b"x" * 3_000_000, NOW)

    records = request_records(source("hubspot"), request, "")

    assert b"".join(record.value for record in records) == request.body
    assert all(len(r.value) + sum(len(n) + len(v) for n, v in r.headers) < 1_000_000 for r in records)


async def test_three_refused_requests_in_a_row_show_and_a_genuine_one_is_newer() -> None:
    registry, taken = CollectorRegistry(), RecordedDelivery()
    delivery: Any = taken
    ingest = Ingest(
        {"acme": source("cloudevents"), "other": source("cloudevents", "other")},
        delivery,
        IntakeMetrics(registry, ["acme", "other"]),
        "",
        MemoryBudget(2**25),
    )
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))

    def shown(name: str, of: str = "acme") -> float:
        return registry.get_sample_value(f"andon_intake_{name}_timestamp_seconds", {"source": of}) or 0

    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:

        async def send(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
            return (await client.post("/v1/ingest/acme", content=b"{}", headers=headers)).status_code

        assert [await send("wrong"), await send("wrong"), shown("third_last_refusal")] == [401, 401, 0]
        assert await send("wrong") == 401
        first = shown("third_last_refusal")
        assert first > shown("last_genuine") == 0
        assert await send(TOKEN) == 202
        assert shown("last_genuine") >= first
        assert await send("wrong") == 401
        assert shown("third_last_refusal") <= shown("last_genuine"), "one wrong request among genuine ones"

    assert shown("third_last_refusal", "other") == shown("last_genuine", "other") == 0
    refused = {"source": "other", "reason": "wrong-signature"}
    assert registry.get_sample_value("andon_intake_refusals_total", refused) == 0, "zero shows from the start"


class FullDelivery(RecordedDelivery):
    """A Kafka that takes nothing."""

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        raise BrokerUnavailable("Kafka cannot be reached")


@pytest.mark.parametrize(
    ("delivery", "token", "status", "accepted", "failed"),
    [(RecordedDelivery(), TOKEN, 202, 1, 0), (FullDelivery(), TOKEN, 503, 0, 1), (FullDelivery(), "false", 401, 0, 0)],
)
async def test_genuine_requests_are_timed_by_result_and_no_others(
    delivery: Any, token: str, status: int, accepted: int, failed: int
) -> None:
    registry = CollectorRegistry()
    ingest = Ingest(
        {"acme": source("cloudevents")}, delivery, IntakeMetrics(registry, ["acme"]), "", MemoryBudget(2**25)
    )
    transport = httpx.ASGITransport(IngestEndpoint(ingest.answer, Starlette()))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post("/v1/ingest/acme", content=b"{}", headers=headers)

    def timed(result: str) -> float | None:
        return registry.get_sample_value("andon_intake_genuine_seconds_count", {"result": result})

    assert (answer.status_code, timed("accepted"), timed("failed")) == (status, accepted, failed)
