"""Odoo: the fields that an automation rule sends, as version 17 and later write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, naive
from services.simulator.model import DealChange


class OdooDialect(Dialect):
    kind: ClassVar[str] = "odoo"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        yield {
            "_action": "Send Webhook Notification(#812)",
            "_id": deal.id,
            "_model": "crm.lead",
            "id": deal.id,
            "active": deal.status != "lost",
            "create_date": _time(deal.created_at),
            "date_conversion": False,
            "date_deadline": deal.expected_close and deal.expected_close.date().isoformat(),
            "date_last_stage_update": _time(deal.entered_at),
            "expected_revenue": float(deal.amount or 0),
            "lost_reason_id": False,
            "name": deal.name,
            "probability": {"open": 40.0, "won": 100.0, "lost": 0.0}[deal.status],
            "stage_id": deal.stage,
            "team_id": deal.pipeline,
            "type": "opportunity",
            "write_date": _time(change.time),
        }

    def body(self, document: Any, attempt: int = 0) -> bytes:
        return json.dumps(document, sort_keys=True, default=str).encode()

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {}, f"key={self.key}")


def _time(moment: datetime | None) -> str | bool:
    return naive(moment, "microseconds") if moment else False
