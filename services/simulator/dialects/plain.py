"""Andon's own events, for `what-if`, `replay` and the generic doors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.simulator.model import Happening
from shared.contracts.envelope import iso
from shared.contracts.events import EventType


def canonical(happening: Happening, source: str = "hubspot-demo") -> Iterator[dict[str, Any]]:
    """The same as Andon's own events, for `what-if` and `replay`."""
    said = happening.properties
    base = {
        "specversion": "1.0",
        "source": source,
        "subject": f"{source}:{happening.deal}",
        "time": iso(happening.time),
    }
    stamp = f"{happening.deal}-{int(happening.time.timestamp() * 1000)}"
    if happening.created:
        data = {"pipeline": said["pipeline"], "name": said["dealname"], "amount": said["amount"]}
        yield base | {"id": f"{stamp}-created", "type": EventType.CREATED.value, "data": data}
    if "dealstage" in said:
        yield base | {"id": f"{stamp}-moved", "type": EventType.MOVED.value, "data": {"stage": said["dealstage"]}}
