"""Copper: old and new values of the changed fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import DealChange


class CopperDialect(Dialect):
    kind: ClassVar[str] = "copper"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        old, new = _values(before), _values(deal)
        changed = {name: [None if change.created else old[name], new[name]] for name in new if new[name] != old[name]}
        yield {
            "subscription_id": 160001,
            "event": "new" if change.created else "update",
            "type": "opportunity",
            "ids": [deal.id],
            "updated_attributes": changed,
            "timestamp": z(change.time),
            "secret_field": self.key,
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body)


def _values(deal: SimulatedDeal) -> dict[str, Any]:
    return {
        "pipeline_id": deal.pipeline,
        "pipeline_stage_id": deal.stage,
        "status": deal.status.capitalize(),
        "name": deal.name,
        "monetary_value": float(deal.amount or 0),
    }
