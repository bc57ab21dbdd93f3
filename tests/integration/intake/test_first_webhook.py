"""The first webhook of a new source is described as soon as it arrives."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from services.cli import first_webhook
from services.intake.received import request_records
from shared.connectors.base.source import Request
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from tests.support.webhooks import sample
from tests.unit.connectors.test_samples import source


async def test_it_says_what_was_understood(kafka: str, prefix: str) -> None:
    odoo, publisher = source("odoo"), Publisher(KafkaAccess(kafka))
    waiting = asyncio.ensure_future(_lines(kafka, prefix))
    request = Request("POST", {}, "key=x", sample("odoo-crm-lead-17.json"), datetime.now(UTC))
    while not waiting.done():
        # Who waits reads from the end on, and may not have begun.
        await publisher.publish_all(request_records(odoo, request, prefix))
        await asyncio.sleep(0.1)
    await publisher.stop()

    assert waiting.result() == [
        "  deal 4711 moved to stage 3 at 2026-03-10T09:00:00.000000Z (name Müller & Söhne, amount 48500.0)",
        "  stage 3 is described: name Proposition",
        "1 event, 1 description of a stage, 0 ignored, 0 to the dead letters",
    ]


async def _lines(kafka: str, prefix: str) -> list[str]:
    return [line async for line in first_webhook.wait(KafkaAccess(kafka), prefix, source("odoo"))]
