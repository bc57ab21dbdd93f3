"""EspoCRM: arrays of records, JSON as PHP encodes it, signed with the key of each webhook."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.company import CURRENCY
from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, hex_hmac, naive
from services.simulator.model import DealChange

CREATE, UPDATE = "65ff00000000000c1", "65ff00000000000d2"


class EspoCrmDialect(Dialect):
    kind: ClassVar[str] = "espocrm"
    settings = {  # noqa: RUF012 (as declared by the base)
        "secrets": [],
        "webhooks": {
            CREATE: {"event": "Opportunity.create", "secrets": [Dialect.secret]},
            UPDATE: {"event": "Opportunity.update", "secrets": [Dialect.secret]},
        },
    }

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        record: dict[str, Any] = {"id": str(deal.id), "stage": deal.stage_or_outcome}
        if change.created:
            record |= {
                "name": deal.name,
                "amount": float(deal.amount),
                "amountCurrency": CURRENCY,
                "deleted": False,
                "closeDate": deal.expected_close and deal.expected_close.date().isoformat(),
                "createdAt": naive(change.time),
            }
        yield [record]

    def body(self, document: Any, attempt: int = 0) -> bytes:
        return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode()

    def sign(self, body: bytes, now: datetime) -> Webhook:
        hook = CREATE if b'"createdAt"' in body else UPDATE
        signature = f"{hook}:{hex_hmac(self.key.encode(), body)}"
        return Webhook(body, {"Signature": b64encode(signature.encode()).decode()})
