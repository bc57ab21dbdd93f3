"""Freshsales: the template of docs/sources/freshsales.md, filled in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import CURRENCY, Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import Happening


class FreshsalesDialect(Dialect):
    kind: ClassVar[str] = "freshsales"

    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        what = "created" if happening.created else {"open": "updated"}.get(deal.status, deal.status)
        yield {
            "event": what,
            "deal_id": str(deal.id),
            "stage": deal.stage,
            "pipeline": deal.pipeline,
            "name": deal.name,
            "amount": deal.amount,
            "currency": CURRENCY,
            "updated_at": z(happening.time),
            "reason": "",
            "expected_close": deal.close.date().isoformat() if deal.close else "",
        }

    def signed(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"X-Andon-Key": self.key})
