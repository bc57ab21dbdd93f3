"""Twenty: the whole record, signed over time and body. Twenty has one pipeline: stages tell which it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import CURRENCY, Dialect, SimulatedDeal, Webhook, hex_hmac, ms, z
from services.simulator.model import Happening


class TwentyDialect(Dialect):
    kind: ClassVar[str] = "twenty"

    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        what = "created" if happening.created else "updated"
        record = {
            "id": str(deal.id),
            "createdAt": deal.made and z(deal.made),
            "updatedAt": z(happening.time),
            "deletedAt": None,
            "name": deal.name,
            "stage": deal.told,
            "closeDate": deal.close and z(deal.close),
            "amount": {"amountMicros": int(float(deal.amount or 0) * 1_000_000), "currencyCode": CURRENCY},
        }
        document = {
            "eventName": f"opportunity.{what}",
            "objectMetadata": {"nameSingular": "opportunity"},
            "webhookId": "8e3f7a10-55e2-4a6d-9f0e-1f2a3b4c5d6e",
            "eventDate": z(happening.time),
            "record": record,
        }
        yield document if happening.created else document | {"updatedFields": ["stage"]}

    def signed(self, body: bytes, now: datetime) -> Webhook:
        stamp = str(ms(now))
        signature = hex_hmac(self.key.encode(), f"{stamp}:".encode() + body)
        return Webhook(body, {"X-Twenty-Webhook-Timestamp": stamp, "X-Twenty-Webhook-Signature": signature})
