"""Attio: that a record changed, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, hex_hmac
from services.simulator.model import Happening

DEALS = "3bdd5e1a-a195-50f5-a48e-6e334913721d"


class AttioDialect(Dialect):
    kind: ClassVar[str] = "attio"
    settings = {"deals": DEALS}  # noqa: RUF012 (as declared by the base)

    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        ids = {"workspace_id": "3c7fd196-e4af-5cff-83d1-c3b11fb43bc2", "object_id": DEALS, "record_id": str(deal.id)}
        what = "record.created" if happening.created else "record.updated"
        yield {"webhook_id": "99ced249-6a12-50bc-8bd2-3a33d51608f8", "events": [{"event_type": what, "id": ids}]}

    def signed(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"Attio-Signature": hex_hmac(self.key.encode(), body)})
