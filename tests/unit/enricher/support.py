"""A CRM in this process, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.enricher.connections import connect
from services.enricher.metrics import EnricherMetrics
from services.enricher.settings import EnricherSettings
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import Parsed
from shared.connectors.base.messages import to_messages
from shared.connectors.config import parse
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.events import event_of
from shared.flow.visits import Event
from tests.support.crms.base import FakeCrm
from tests.support.crms.world import sources_file


@asynccontextmanager
async def asking(fake: FakeCrm, give_up: float = 5, **api: Any) -> AsyncIterator[CrmApi]:
    """The module of a CRM before its fake."""
    settings = EnricherSettings(sources=Path("none"), enricher_give_up_seconds=give_up)
    sources = parse(sources_file(fake, **api))
    metrics = EnricherMetrics(CollectorRegistry(), sources)
    crm = connect(settings, sources, metrics)["crm"].crm
    assert crm is not None
    try:
        yield crm
    finally:
        await crm.client.close()


def events_of(said: Iterable[Parsed], now: datetime) -> list[Event]:
    """What the detector gets of it; nothing may be unclear."""
    result = to_messages("crm", list(said), now, "")
    assert not result.invalid, result.invalid
    return [event_of(DealEvent.model_validate(json.loads(m.value))) for m in result.messages if m.topic == EVENTS]
