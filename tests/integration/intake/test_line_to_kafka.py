"""A real intake process before a real Kafka: what is answered with 202 is there, and everything else is answered."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.demo.kafka import Kafka
from shared.contracts.dead import DeadEvent
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS, PRODUCT_TOPICS, dead
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.support.examples import examples
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.webhooks import signed_v3

SECRET, URL, TOKEN = "the-client-secret", "https://hooks.example.org/v1/ingest/crm", "a-bearer-token"
SOURCES = f"""
sources:
  crm: {{kind: hubspot, secrets: [{SECRET}], public_url: "{URL}", max_bytes: 200000}}
  other: {{kind: cloudevents, secrets: [{TOKEN}], max_bytes: 4096}}
"""


def intake(kafka: str, folder: Path, prefix: str = "") -> ServiceProcess:
    (folder / "sources.yaml").write_text(SOURCES)
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_SOURCES": str(folder / "sources.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
        "ANDON_INTAKE_DEADLINE_SECONDS": "3",
    }
    return ServiceProcess("intake", environment, folder).start().ready()


@pytest.fixture
async def service(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    process = intake(kafka, tmp_path, prefix)
    yield process
    assert process.stop() == 0


def events(count: int, first: int = 0) -> bytes:
    return json.dumps(
        [
            {
                "subscriptionType": "deal.creation",
                "objectId": first + n,
                "portalId": 1,
                "eventId": n,
                "occurredAt": 10**12,
            }
            for n in range(count)
        ]
    ).encode()


def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    signed = signed_v3(body, SECRET, str(int(time.time() * 1000)), URL)
    return httpx.post(f"{url}/v1/ingest/crm", content=body, headers=signed | headers, timeout=20)


async def records(kafka: str, topic: str, partitions: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    places = [TopicPartition(topic, n) for n in range(partitions)]
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    found: list[Any] = []
    while len(found) < sum(ends.values()):
        for part in (await consumer.getmany(timeout_ms=500)).values():
            found += part
    await consumer.stop()
    return found


async def deals(kafka: str, prefix: str) -> list[str]:
    return [DealEvent.model_validate_json(r.value).subject for r in await records(kafka, prefix + EVENTS, 4)]


async def test_what_is_accepted_is_on_the_topic(service: ServiceProcess, kafka: str, prefix: str) -> None:
    answer = post(service.url, events(100))

    assert (answer.status_code, answer.content) == (202, b"")
    assert sorted(await deals(kafka, prefix)) == sorted(f"crm:{n}" for n in range(100))


async def test_what_cannot_be_translated_is_accepted_and_kept(service: ServiceProcess, kafka: str, prefix: str) -> None:
    answer = post(service.url, b'[{"subscriptionType": "deal.creation", "objectId": "\\u0000"}]')

    assert answer.status_code == 202
    assert answer.json()["dead"] == 1
    (letter,) = await records(kafka, prefix + dead(EVENTS), 1)
    assert "objectId" in DeadEvent.model_validate_json(letter.value).data.detail
    assert 'andon_intake_translation_failures_total{reason="untranslatable",source="crm"} 1.0' in service.get(
        "/metrics"
    )


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("crm", b"[]", {}, 401, "x-hubspot-signature-v3"),
        ("crm", b"x" * 300_000, {}, 413, "200000 bytes"),
        ("none", b"[]", {}, 404, "source"),
        ("other", b"{}", {"authorization": f"Bearer {TOKEN}", "content-type": "text/plain"}, 415, "ce-specversion"),
    ],
)
def test_refusals_say_what_is_wrong(
    service: ServiceProcess, path: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = httpx.post(f"{service.url}/v1/ingest/{path}", content=body, headers=headers)

    assert (answer.status_code, says in answer.json()["detail"]) == (status, True)


def test_other_methods_are_not_for_webhooks(service: ServiceProcess) -> None:
    assert httpx.get(f"{service.url}/v1/ingest/crm").status_code == 405
    assert httpx.options(f"{service.url}/v1/ingest/crm").status_code == 405


def chunks() -> Iterator[bytes]:
    yield from (b"x" * 50_000 for _ in range(100))


def test_a_body_without_a_length_is_given_up_at_the_limit(service: ServiceProcess) -> None:
    with httpx.Client() as client:
        assert client.post(f"{service.url}/v1/ingest/crm", content=chunks()).status_code == 413


def test_a_request_that_is_cut_off_harms_nobody(service: ServiceProcess) -> None:
    head = b"POST /v1/ingest/crm HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head)

    assert post(service.url, events(1)).status_code == 202


def test_no_body_and_no_header_however_broken_gives_a_server_error(service: ServiceProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port)

    @settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.binary(max_size=300),
        st.dictionaries(
            st.sampled_from(
                [
                    "authorization",
                    "content-type",
                    "ce-id",
                    "ce-type",
                    "ce-time",
                    "x-hubspot-signature-v3",
                    "x-hubspot-request-timestamp",
                    "webhook-request-origin",
                ]
            ),
            st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
            | st.sampled_from([f"Bearer {TOKEN}", "application/cloudevents+json", "1.0"]),
        ),
        st.sampled_from(["crm", "other"]),
    )
    def check(body: bytes, headers: dict[str, str], source: str) -> None:
        connection.request("POST", f"/v1/ingest/{source}", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 500

    check()
    connection.close()
    assert post(service.url, events(1)).status_code == 202


def published(service: ServiceProcess) -> str:
    lines = service.get("/metrics").splitlines()
    return next(line for line in lines if line.startswith("andon_intake_publish_seconds_count"))


async def test_without_a_broker_the_answer_is_503_at_once_and_it_comes_back_by_itself(tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    await create_topics(KafkaAccess(broker.bootstrap))
    service = intake(broker.bootstrap, tmp_path)
    assert post(service.url, events(3)).status_code == 202

    broker.kill()
    first = post(service.url, events(3, first=100))
    assert (first.status_code, first.headers["retry-after"]) == (503, "5")
    tried = published(service)
    assert float(tried.split()[1]) == 1, "one write was acknowledged"
    assert post(service.url, events(3, first=100)).status_code == 503
    assert published(service) == tried, "it is known that the broker is away: nothing is tried, nobody waits"

    broker.start()

    async def again() -> int:
        return await asyncio.to_thread(lambda: post(service.url, events(3, first=100)).status_code)

    await eventually(again, lambda status: status == 202)
    found = await deals(broker.bootstrap, "")
    assert set(found) == {f"crm:{n}" for n in (0, 1, 2, 100, 101, 102)}
    assert service.stop() == 0
    broker.stop()


def test_every_topic_has_a_place_for_its_dead_letters() -> None:
    assert all(dead(topic.name).endswith(".dead") for topic in PRODUCT_TOPICS)
