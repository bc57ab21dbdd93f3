"""Attio: says only that a record changed, not how."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, hex_hmac
from services.simulator.model import DealChange

DEALS = "3bdd5e1a-a195-50f5-a48e-6e334913721d"


class AttioDialect(Dialect):
    kind: ClassVar[str] = "attio"
    settings = {"deals": DEALS}  # noqa: RUF012 (as declared by the base)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        ids = {"workspace_id": "3c7fd196-e4af-5cff-83d1-c3b11fb43bc2", "object_id": DEALS, "record_id": str(deal.id)}
        event_type = "record.created" if change.created else "record.updated"
        yield {"webhook_id": "99ced249-6a12-50bc-8bd2-3a33d51608f8", "events": [{"event_type": event_type, "id": ids}]}

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"Attio-Signature": hex_hmac(self.key.encode(), body)})
