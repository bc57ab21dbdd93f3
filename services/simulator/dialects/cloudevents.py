"""CloudEvents in structured mode, with Andon's own events as data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook
from services.simulator.dialects.plain import canonical
from services.simulator.model import DealChange


class CloudEventsDialect(Dialect):
    kind: ClassVar[str] = "cloudevents"

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        yield from canonical(change, "crm")

    def sign(self, body: bytes, now: datetime) -> Webhook:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/cloudevents+json"}
        return Webhook(body, headers)
