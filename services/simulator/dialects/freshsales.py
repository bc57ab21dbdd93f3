"""Freshsales: the template of docs/sources/freshsales.md, filled in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.company import CURRENCY
from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import DealChange


class FreshsalesDialect(Dialect):
    kind: ClassVar[str] = "freshsales"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        event = "created" if change.created else {"open": "updated"}.get(deal.status, deal.status)
        yield {
            "event": event,
            "deal_id": str(deal.id),
            "stage": deal.stage,
            "pipeline": deal.pipeline,
            "name": deal.name,
            "amount": deal.amount,
            "currency": CURRENCY,
            "updated_at": z(change.time),
            "reason": "",
            "expected_close": deal.expected_close.date().isoformat() if deal.expected_close else "",
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"X-Andon-Key": self.key})
