"""Descriptions of stages on a real Kafka: acknowledged with the request, once a minute in passing, translated again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.intake.retranslate import retranslate
from shared.connectors.config import parse
from shared.contracts.stages import StageEvent
from shared.contracts.topics import STAGES
from shared.kafka.access import KafkaAccess
from tests.integration.intake.test_line_to_kafka import deals, records
from tests.support.processes import ServiceProcess
from tests.support.webhooks import sample

SOURCES = """
sources:
  pipe: {kind: pipedrive, secrets: ["andon:a-long-password"]}
  odoo: {kind: odoo, secrets: [a-long-random-key]}
"""


@pytest.fixture
async def url(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
    }
    process = ServiceProcess("intake", environment, tmp_path).start().ready()
    yield process.url
    assert process.stop() == 0


def pipedrive(url: str, body: bytes) -> httpx.Response:
    return httpx.post(f"{url}/v1/ingest/pipe", content=body, auth=("andon", "a-long-password"))


def odoo(url: str, **fields: Any) -> httpx.Response:
    document = json.loads(sample("odoo-crm-lead-17.json")) | fields
    return httpx.post(f"{url}/v1/ingest/odoo?key=a-long-random-key", json=document)


async def described(kafka: str, prefix: str) -> list[StageEvent]:
    return [StageEvent.model_validate_json(record.value) for record in await records(kafka, prefix + STAGES, 1)]


async def test_a_stage_of_pipedrive_is_on_the_topic_when_it_is_accepted(url: str, kafka: str, prefix: str) -> None:
    before = datetime.now(UTC)
    answer = pipedrive(url, sample("pipedrive-v2-stage-change.json"))

    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "described": 1, "ignored": 0, "dead": 0})
    (event,) = await described(kafka, prefix)
    assert (event.data.path, event.data.name, event.data.probability) == ("pipe/1/3", "Proposal", 0.6)

    counts = await retranslate(
        KafkaAccess(kafka), prefix, parse(SOURCES)["pipe"], before - timedelta(minutes=1), lambda *_: None
    )
    assert counts == {
        "requests": 1,
        "described": 1,
        "accepted": 0,
        "ignored": 0,
        "dead": 0,
        "retracted": 0,
        "missing": 0,
    }
    again = await described(kafka, prefix)
    assert [one.id for one in again] == [event.id] * 2, "the same description: it counts once"


async def test_a_name_beside_each_deal_is_written_once(url: str, kafka: str, prefix: str) -> None:
    for deal in range(3):
        answer = odoo(url, _id=deal)
        assert (answer.status_code, answer.content) == (202, b"")
    assert odoo(url, stage_id=[3, "Offer"]).status_code == 202

    assert [event.data.name for event in await described(kafka, prefix)] == ["Proposition", "Offer"]
    assert len(await deals(kafka, prefix)) == 4
