"""Zoho CRM: notifications of a channel that includes the changed values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, ms
from services.simulator.model import DealChange


class ZohoDialect(Dialect):
    kind: ClassVar[str] = "zoho"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        values: dict[str, Any] = {"Stage": deal.stage_or_outcome}
        if change.created:
            values |= {"Pipeline": deal.pipeline, "Deal_Name": deal.name, "Amount": float(deal.amount)}
        record = str(deal.id)
        yield {
            "server_time": ms(change.time),
            "module": "Deals",
            "ids": [record],
            "query_params": {},
            "resource_uri": "https://www.zohoapis.com/crm/v8/Deals",
            "affected_fields": [{record: list(values)}],
            "affected_values": [{"record_id": record, "values": values}],
            "channel_id": "7700000000042",
            "operation": "insert" if change.created else "update",
            "token": self.key,
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body)
