"""Standard Webhooks, signature version 1, with Andon's own events as data."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook
from services.simulator.dialects.plain import canonical
from services.simulator.model import DealChange


class StandardWebhooksDialect(Dialect):
    kind: ClassVar[str] = "standardwebhooks"
    secret: ClassVar[str] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # noqa: S105 (nobody's)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        for event in canonical(change, "crm"):
            data = {"id": str(change.deal), **event["data"]}
            yield {"type": event["type"], "timestamp": event["time"], "data": data}

    def sign(self, body: bytes, now: datetime) -> Webhook:
        number = "msg_" + hashlib.sha256(body).hexdigest()[:24]
        stamp = str(int(now.timestamp()))
        key = b64decode(self.key.removeprefix("whsec_"))
        signature = hmac.digest(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256)
        headers = {"webhook-id": number, "webhook-timestamp": stamp}
        return Webhook(body, headers | {"webhook-signature": "v1," + b64encode(signature).decode()})
