"""Pipedrive, webhooks v2: the whole deal, and the previous values of changed fields."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.company import CURRENCY
from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import DealChange


class PipedriveDialect(Dialect):
    kind: ClassVar[str] = "pipedrive"
    secret: ClassVar[str] = "pipedrive:pa:ss of the simulated crm"  # noqa: S105 (nobody's)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        data, old = _deal(deal, change.time), _deal(before, change.time)
        previous = {name: value for name, value in old.items() if data[name] != value}
        meta = {
            "action": "create" if change.created else "change",
            "company_id": "8087001",
            "entity": "deal",
            "correlation_id": f"c{self.count}",
            "entity_id": str(deal.id),
            "id": f"event-{deal.id}-{self.count}",
            "is_bulk_edit": False,
            "timestamp": z(change.time),
            "type": "general",
            "version": "2.0",
            "attempt": 1,
            "webhook_id": "4710801",
            "change_source": "app",
            "host": "acme-sandbox.pipedrive.com",
        }
        yield {"data": data, "previous": None if change.created else previous, "meta": meta}

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"Authorization": "Basic " + b64encode(self.key.encode()).decode()})


def _deal(deal: SimulatedDeal, now: datetime) -> dict[str, Any]:
    return {
        "id": deal.id,
        "title": deal.name,
        "value": float(deal.amount or 0),
        "currency": CURRENCY,
        "stage_id": deal.stage,
        "pipeline_id": deal.pipeline,
        "status": deal.status,
        "custom_fields": {},
        "add_time": deal.created_at and z(deal.created_at),
        "stage_change_time": deal.entered_at and z(deal.entered_at),
        "expected_close_date": deal.expected_close and deal.expected_close.date().isoformat(),
        "update_time": z(now),
    }
