"""Andon's own events, for `what-if`, `replay` and the generic kinds of source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.simulator.model import DealChange
from shared.contracts.envelope import iso
from shared.contracts.events import EventType


def canonical(change: DealChange, source: str = "hubspot-demo") -> Iterator[dict[str, Any]]:
    """The change as Andon's own events (CloudEvents)."""
    properties = change.properties
    base = {
        "specversion": "1.0",
        "source": source,
        "subject": f"{source}:{change.deal}",
        "time": iso(change.time),
    }
    stamp = f"{change.deal}-{int(change.time.timestamp() * 1000)}"
    if change.created:
        data = {
            "pipeline": properties["pipeline"],
            "name": properties["dealname"],
            "amount": properties["amount"],
            "currency": properties["deal_currency_code"],
        }
        yield base | {"id": f"{stamp}-created", "type": EventType.CREATED.value, "data": data}
    if "dealstage" in properties:
        yield base | {"id": f"{stamp}-moved", "type": EventType.MOVED.value, "data": {"stage": properties["dealstage"]}}
