"""Requests are kept as they came, and a translator that was broken and fixed leaves no trace."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.intake.delivery import Delivery
from services.intake.http import IngestEndpoint
from services.intake.ingest import Ingest
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import MemoryBudget
from services.intake.received import read_requests, request_records
from services.intake.retranslate import retranslate
from services.simulator.dialects import DIALECTS
from services.simulator.dialects.base import Webhook
from shared.connectors.base.facts import DealFact
from shared.connectors.base.messages import TranslationResult, to_messages
from shared.connectors.base.source import Request, Source
from shared.contracts.events import DealEvent, EventType
from shared.contracts.topics import EVENTS, RECEIVED
from shared.flow.events import event_of
from shared.flow.fold import unique
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.health import Progress
from tests.integration.intake.test_line_to_kafka import records
from tests.unit.connectors.test_round_trip import found, history, source_of

PATH = "http://intake/v1/ingest/crm"


class IntakeRig:
    """Intake in this process, before a real Kafka."""

    def __init__(self, kafka: str, prefix: str, source: Source) -> None:
        self.kafka, self.prefix = kafka, prefix
        metrics = IntakeMetrics(CollectorRegistry(), ["crm"])
        self.publisher = Publisher(KafkaAccess(kafka))
        self.delivery = Delivery(self.publisher, metrics, Progress())
        endpoint = IngestEndpoint(
            Ingest({"crm": source}, self.delivery, metrics, prefix, MemoryBudget(2**25)).answer, Starlette()
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(endpoint))

    async def events(self) -> list[DealEvent]:
        return [DealEvent.model_validate_json(r.value) for r in await records(self.kafka, self.prefix + EVENTS, 4)]


@asynccontextmanager
async def running(line: IntakeRig) -> AsyncIterator[IntakeRig]:
    looking = asyncio.ensure_future(line.delivery.run())
    while not line.delivery.available:
        await asyncio.sleep(0.02)
    yield line
    looking.cancel()
    await asyncio.wait([looking])
    await line.client.aclose()
    await line.publisher.stop()


@pytest.fixture
async def espo(kafka: str, prefix: str) -> AsyncIterator[IntakeRig]:
    async with running(IntakeRig(kafka, prefix, source_of(DIALECTS["espocrm"]))) as line:
        yield line


@pytest.fixture
async def odoo(kafka: str, prefix: str) -> AsyncIterator[IntakeRig]:
    async with running(IntakeRig(kafka, prefix, source_of(DIALECTS["odoo"]))) as line:
        yield line


async def test_a_request_is_kept_byte_for_byte_and_without_its_key(odoo: IntakeRig) -> None:
    body = b'{"_model": "crm.lead",  "_id": 5, "stage_id": 3, "write_date": "2026-03-10 09:00:00"}'
    answer = await odoo.client.post(
        f"{PATH}?key={DIALECTS['odoo'].secret}&event=delete", content=body, headers={"authorization": "Bearer other"}
    )
    assert answer.status_code == 202

    (record,) = await records(odoo.kafka, odoo.prefix + RECEIVED, 4)
    (request,) = read_requests([record])
    assert (record.key, record.value, request.query) == (b"crm", body, {"event": "delete"})
    assert not any(DIALECTS["odoo"].secret.encode() in value or b"Bearer" in value for _, value in record.headers)
    (told,) = source_of(DIALECTS["odoo"]).translate(request)
    assert isinstance(told, DealFact)
    assert told.type.value == "andon.deal.deleted"


async def test_what_another_program_wrote_beside_the_requests_is_passed_over(odoo: IntakeRig) -> None:
    body = b'{"_model": "crm.lead",  "_id": 5, "stage_id": 3, "write_date": "2026-03-10 09:00:00"}'
    await odoo.client.post(f"{PATH}?key={DIALECTS['odoo'].secret}", content=body)
    publisher = Publisher(KafkaAccess(odoo.kafka))
    for headers in ((("ce_type", None), ("ce_part", None)), (("ce_part", b"\xff"),), (("ce_part", b"one/two"),)):
        await publisher.publish_all([OutgoingMessage(odoo.prefix + RECEIVED, b"crm", b"{", None, headers)])
    await publisher.stop()

    since = datetime.now(UTC) - timedelta(hours=1)
    counts = await retranslate(
        KafkaAccess(odoo.kafka), odoo.prefix, source_of(DIALECTS["odoo"]), since, lambda done, total: None
    )

    assert (counts["requests"], counts["accepted"]) == (1, 1)


async def test_a_large_body_lies_in_several_records(kafka: str, prefix: str) -> None:
    dialect = DIALECTS["hubspot"]()
    line = IntakeRig(kafka, prefix, source_of(DIALECTS["hubspot"]))
    async with running(line):
        events = [
            {
                "subscriptionType": "deal.creation",
                "objectId": n,
                "portalId": 1,
                "eventId": n,
                "occurredAt": 10**12,
                "sourceId": f"{n:x}" * 5000,
            }
            for n in range(100)
        ]
        webhook = dialect.sign(json.dumps(events).encode(), datetime.now(UTC))
        answer = await line.client.post(PATH, content=webhook.body, headers=dict(webhook.headers))
        assert answer.status_code == 202

    request_records = await records(kafka, prefix + RECEIVED, 4)
    assert len(request_records) == len(webhook.body) // 800_000 + 1 >= 2
    (request,) = read_requests(request_records)
    assert request.body == webhook.body
    counts = await retranslate(
        KafkaAccess(kafka), prefix, source_of(DIALECTS["hubspot"]), long_ago(), lambda done, total: None
    )
    assert (counts["requests"], counts["accepted"]) == (1, 100)


async def test_large_requests_that_replicas_wrote_at_once_are_each_found(kafka: str, prefix: str) -> None:
    # Such that no compression brings them into one answer of the broker.
    source, written, chance = source_of(DIALECTS["hubspot"]), [], random.Random(3)
    for number in range(2):
        events = [
            {
                "subscriptionType": "deal.creation",
                "objectId": n,
                "portalId": 1,
                "eventId": n + number * 1000,
                "occurredAt": 10**12,
                "sourceId": chance.randbytes(11_750).hex(),
            }
            for n in range(100)
        ]
        body = json.dumps(events).encode()
        written.append(request_records(source, Request("POST", {}, "", body, datetime.now(UTC)), prefix))
    publisher = Publisher(KafkaAccess(kafka))
    for message in (part for parts in zip(*written, strict=True) for part in parts):
        await publisher.publish_all([message])
    await publisher.stop()

    counts = await retranslate(KafkaAccess(kafka), prefix, source, long_ago(), lambda done, total: None)

    assert (counts["requests"], counts["accepted"]) == (2, 200)


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


async def post_all(line: IntakeRig, source: Source, said: Any, webhooks: list[Webhook]) -> None:
    """Post to an intake whose translator returns what `said` does."""
    metrics = IntakeMetrics(CollectorRegistry(), ["crm"])
    endpoint = IngestEndpoint(
        Ingest({"crm": source}, line.delivery, metrics, line.prefix, MemoryBudget(2**25)).answer, Starlette()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(source), "parse_part", said)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint)) as client:
            for webhook in webhooks:
                answer = await client.post(PATH, content=webhook.body, headers=dict(webhook.headers))
                assert answer.status_code == 202


async def test_after_mending_all_is_as_if_it_had_never_been_broken(espo: IntakeRig) -> None:
    """EspoCRM, because its events get their time and number from when the request came: the hardest case."""
    broken, dialect = source_of(DIALECTS["espocrm"]), DIALECTS["espocrm"]()
    real = type(broken).parse_part

    def half_broken(self: Any, part: Any, request: Any) -> Any:
        if part.get("stage") in ("demo", "proposal", "new_won"):
            raise KeyError("a fault of ours")
        return real(self, part, request)

    some = [webhook for one in history()[:150] for webhook in dialect.webhooks(one)]
    await post_all(espo, broken, half_broken, some)

    request_records = list(read_requests(await records(espo.kafka, espo.prefix + RECEIVED, 4)))
    never_broken = [one for request in request_records for one in source_of(DIALECTS["espocrm"]).translate(request)]
    before = await espo.events()
    assert 0 < len(before) < len(never_broken) == len(some)

    for _ in range(2):
        counts = await retranslate(KafkaAccess(espo.kafka), espo.prefix, broken, long_ago(), lambda done, total: None)
        assert (counts["requests"], counts["dead"]) == (len(some), 0)

    expected = {(f"crm:{one.deal}", one.id, one.time) for one in never_broken if isinstance(one, DealFact)}
    after = await espo.events()
    assert {(event.subject, event.id, event.time) for event in after} == expected
    assert len(found([event_of(event) for event in after])[1]) == len(
        found([event_of(event) for event in {e.id: e for e in after}.values()])[1]
    )


async def test_what_was_translated_wrongly_is_taken_back(espo: IntakeRig) -> None:
    broken, dialect = source_of(DIALECTS["espocrm"]), DIALECTS["espocrm"]()
    real = type(broken).parse_part

    def wrong(self: Any, part: Any, request: Any) -> Any:
        # One smaller, one greater as text than the right one: neither may win by that.
        names = {"demo": "a wrong stage", "proposal": "zz wrong stage"}
        return [
            one._replace(data=one.data | {"stage": names[one.data["stage"]]})
            if isinstance(one, DealFact) and one.data.get("stage") in names
            else one
            for one in real(self, part, request)
        ]

    some = [webhook for one in history()[:150] for webhook in dialect.webhooks(one)]
    await post_all(espo, broken, wrong, some)
    request_records = list(read_requests(await records(espo.kafka, espo.prefix + RECEIVED, 4)))
    right = [
        event_of(DealEvent.model_validate_json(message.value))
        for request in request_records
        for message in to_messages("crm", broken.translate(request), request.received_at, "").messages
    ]

    await retranslate(KafkaAccess(espo.kafka), espo.prefix, broken, long_ago(), lambda done, total: None)

    after = [event_of(event) for event in await espo.events()]
    assert {"a wrong stage", "zz wrong stage"} <= {event.data.get("stage") for event in after}
    assert {(one.key, one.data.get("stage")) for one in unique(after)} == {(o.key, o.data.get("stage")) for o in right}


async def test_whatever_a_broken_translator_said_is_taken_back(espo: IntakeRig) -> None:
    broken, dialect, chance = source_of(DIALECTS["espocrm"]), DIALECTS["espocrm"](), random.Random(5)
    real = type(broken).parse_part

    def wrong(self: Any, part: Any, request: Any) -> Any:
        for one in real(self, part, request):
            match chance.randrange(9):
                case 0:
                    yield one._replace(deal="of-nobody")
                case 1:
                    yield one._replace(id=f"{one.id}-wrong")
                case 2:
                    yield one._replace(time=one.time - timedelta(days=3))
                case 3:
                    yield from (one, one._replace(type=EventType.DELETED, id=f"{one.id}-extra", data={}))
                case 4:
                    yield one._replace(data=one.data | {"stage": "zz wrong stage"})
                case 5:
                    raise KeyError("a fault of ours")
                case 6:
                    continue
                case _:
                    yield one

    some = [webhook for one in history()[:150] for webhook in dialect.webhooks(one)]
    await post_all(espo, broken, wrong, some)
    request_records = list(read_requests(await records(espo.kafka, espo.prefix + RECEIVED, 4)))
    right = [message for request in request_records for message in now(broken, request).messages]
    others = await said_otherwise(espo, right[3].value)
    expected = found([event_of(event) for event in [*map(read, right), *others]])
    assert expected[1]
    assert found([event_of(event) for event in await espo.events()]) != expected

    access = KafkaAccess(espo.kafka)
    counts = [await retranslate(access, espo.prefix, broken, long_ago(), lambda done, total: None) for _ in "12"]

    assert counts[0]["retracted"] > 30
    assert counts[1]["retracted"] == 0
    assert found([event_of(event) for event in await espo.events()]) == expected


async def said_otherwise(line: IntakeRig, message: bytes) -> list[DealEvent]:
    """Events that stay: over an API, of another source, of a request that is not kept any more."""
    like = json.loads(message)
    others = [
        like | {"id": "api/1/moved", "subject": "crm:1"},
        like | {"source": "other", "subject": "other:2"},
        like | {"id": "long ago", "subject": "crm:3", "receivedat": "2026-01-01T00:00:00.000001Z"},
    ]
    messages = [
        OutgoingMessage(line.prefix + EVENTS, one["subject"].encode(), json.dumps(one).encode()) for one in others
    ]
    await line.publisher.publish_all(messages)
    return [read(message) for message in messages]


def now(source: Source, request: Request) -> TranslationResult:
    return to_messages("crm", source.translate(request), request.received_at, "")


def read(message: OutgoingMessage) -> DealEvent:
    return DealEvent.model_validate_json(message.value)


async def test_what_cannot_be_translated_any_more_is_not_taken_back(espo: IntakeRig) -> None:
    source, dialect = source_of(DIALECTS["espocrm"]), DIALECTS["espocrm"]()
    real = type(source).parse_part
    await post_all(espo, source, real, [webhook for one in history()[:20] for webhook in dialect.webhooks(one)])
    before = found([event_of(event) for event in await espo.events()])

    def faulty(self: Any, part: Any, request: Any) -> Any:
        raise KeyError("a fault of ours")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(source), "parse_part", faulty)
        counts = await retranslate(KafkaAccess(espo.kafka), espo.prefix, source, long_ago(), lambda done, total: None)

    assert (counts["accepted"], counts["retracted"]) == (0, 0)
    assert counts["dead"] == counts["requests"] > 10
    assert before == found([event_of(event) for event in await espo.events()])
