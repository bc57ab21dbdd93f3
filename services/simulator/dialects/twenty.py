"""Twenty: the whole record, signed over timestamp and body. Twenty has one pipeline only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.company import CURRENCY
from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, hex_hmac, ms, z
from services.simulator.model import DealChange


class TwentyDialect(Dialect):
    kind: ClassVar[str] = "twenty"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        action = "created" if change.created else "updated"
        record = {
            "id": str(deal.id),
            "createdAt": deal.created_at and z(deal.created_at),
            "updatedAt": z(change.time),
            "deletedAt": None,
            "name": deal.name,
            "stage": deal.stage_or_outcome,
            "closeDate": deal.expected_close and z(deal.expected_close),
            "amount": {"amountMicros": int(float(deal.amount or 0) * 1_000_000), "currencyCode": CURRENCY},
        }
        document = {
            "eventName": f"opportunity.{action}",
            "objectMetadata": {"nameSingular": "opportunity"},
            "webhookId": "8e3f7a10-55e2-4a6d-9f0e-1f2a3b4c5d6e",
            "eventDate": z(change.time),
            "record": record,
        }
        yield document if change.created else document | {"updatedFields": ["stage"]}

    def sign(self, body: bytes, now: datetime) -> Webhook:
        stamp = str(ms(now))
        signature = hex_hmac(self.key.encode(), f"{stamp}:".encode() + body)
        return Webhook(body, {"X-Twenty-Webhook-Timestamp": stamp, "X-Twenty-Webhook-Signature": signature})
