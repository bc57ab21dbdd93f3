"""monday.com: changes of a board's status column; won and lost are labels like any other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import DealChange

BOARD = 1771800001


class MondayDialect(Dialect):
    """One board is one pipeline; all deals are on the board `BOARD`."""

    kind: ClassVar[str] = "monday"
    settings = {"board": str(BOARD)}  # noqa: RUF012 (as declared by the base)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        base = {
            "boardId": BOARD,
            "pulseId": deal.id,
            "pulseName": deal.name,
            "triggerTime": z(change.time),
            "subscriptionId": 73700001,
            "isRetry": False,
            "originalTriggerUuid": None,
        }
        if change.created:
            yield {"event": base | {"type": "create_pulse", "triggerUuid": f"{deal.id}-{self.count}-made"}}
        yield {
            "event": base
            | {
                "type": "update_column_value",
                "columnId": "deal_stage",
                "columnType": "color",
                "value": {"label": {"index": 1, "text": deal.stage_or_outcome, "style": None}},
                "previousValue": {"label": {"index": 0, "text": before.stage_or_outcome, "style": None}}
                if before.stage_or_outcome
                else None,
                "triggerUuid": f"{deal.id}-{self.count}",
            }
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {}, f"key={self.key}")
