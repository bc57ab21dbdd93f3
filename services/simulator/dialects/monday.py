"""monday.com: changes of the status column of a board; won and lost are labels as the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import Happening

BOARD = 1771800001


class MondayDialect(Dialect):
    """One board is one pipeline, so that this tells of one of them only: `pipeline`."""

    kind: ClassVar[str] = "monday"
    settings = {"board": str(BOARD)}  # noqa: RUF012 (as declared by the base)

    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        base = {
            "boardId": BOARD,
            "pulseId": deal.id,
            "pulseName": deal.name,
            "triggerTime": z(happening.time),
            "subscriptionId": 73700001,
            "isRetry": False,
            "originalTriggerUuid": None,
        }
        if happening.created:
            yield {"event": base | {"type": "create_pulse", "triggerUuid": f"{deal.id}-{self.count}-made"}}
        yield {
            "event": base
            | {
                "type": "update_column_value",
                "columnId": "deal_stage",
                "columnType": "color",
                "value": {"label": {"index": 1, "text": deal.told, "style": None}},
                "previousValue": {"label": {"index": 0, "text": before.told, "style": None}} if before.told else None,
                "triggerUuid": f"{deal.id}-{self.count}",
            }
        }

    def signed(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {}, f"key={self.key}")
