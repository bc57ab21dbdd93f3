"""Close: opportunity events, signed with a hex-encoded key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.company import CURRENCY
from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, hex_hmac, naive
from services.simulator.model import DealChange


class CloseDialect(Dialect):
    kind: ClassVar[str] = "close"
    secret: ClassVar[str] = "00112233445566778899aabbccddeeff0123456789abcdef"  # noqa: S105 (nobody's)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        data, old = _opportunity(deal), _opportunity(before)
        changed = [] if change.created else sorted(name for name in data if data[name] != old[name])
        stamp = naive(change.time, "microseconds").replace(" ", "T")
        yield {
            "subscription_id": "whsub_simulated",
            "event": {
                "id": f"ev_{deal.id}{self.count}",
                "action": "created" if change.created else "updated",
                "object_type": "opportunity",
                "object_id": f"{deal.id}",
                "date_created": stamp,
                "date_updated": stamp,
                "changed_fields": changed,
                "previous_data": {name: old[name] for name in changed},
                "data": data,
                "organization_id": "orga_simulated",
                "request_id": f"req_{self.count}",
                "meta": {},
            },
        }

    def sign(self, body: bytes, now: datetime) -> Webhook:
        stamp = str(int(now.timestamp()))
        signature = hex_hmac(bytes.fromhex(self.key), stamp.encode() + body)
        return Webhook(body, {"close-sig-timestamp": stamp, "close-sig-hash": signature})


def _opportunity(deal: SimulatedDeal) -> dict[str, Any]:
    status = {"open": "active"}.get(deal.status, deal.status)
    return {
        "id": f"{deal.id}",
        "lead_id": f"lead_{deal.id}",
        "lead_name": deal.name,
        "pipeline_id": deal.pipeline,
        "status_id": deal.stage_or_outcome or None,
        "status_type": status,
        "value": int(float(deal.amount or 0) * 100),
        "value_currency": CURRENCY,
        "value_period": "one_time",
        "date_won": deal.expected_close and deal.expected_close.date().isoformat(),
    }
