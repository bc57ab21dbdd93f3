"""HubSpot: one event for each property, signed by version 3."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar

import orjson

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, ms
from services.simulator.model import Happening

PORTAL, APP = 48112233, 7654321
_SUBSCRIPTIONS = {
    "amount": 5500102,
    "closedate": 5500103,
    "pipeline": 5500105,
    "dealname": 5500106,
    "dealstage": 5500101,
}


def hubspot(happening: Happening, first_event: int) -> list[dict[str, Any]]:
    """One webhook event for each property, and the creation last, as HubSpot sends them."""
    base = {
        "attemptNumber": 0,
        "changeSource": "CRM_UI",
        "occurredAt": int(happening.time.timestamp() * 1000),
        "portalId": PORTAL,
        "appId": APP,
        "objectId": happening.deal,
    }
    events: list[dict[str, Any]] = [
        base
        | {
            "eventId": first_event + number,
            "subscriptionType": "deal.propertyChange",
            "propertyName": name,
            "propertyValue": value,
            "subscriptionId": _SUBSCRIPTIONS[name],
        }
        for number, (name, value) in enumerate(happening.properties.items())
    ]
    if happening.created:
        events.append(
            base
            | {
                "eventId": first_event + len(events),
                "subscriptionType": "deal.creation",
                "changeFlag": "CREATED",
                "subscriptionId": 5500100,
            }
        )
    return events


def hubspot_events(told: Iterable[Happening]) -> Iterator[dict[str, Any]]:
    """The webhook events of many happenings, numbered through."""
    number = 1_000_000
    for happening in told:
        events = hubspot(happening, number)
        number += len(events)
        yield from events


class HubSpotDialect(Dialect):
    kind: ClassVar[str] = "hubspot"
    settings = {"public_url": "https://hooks.example.org/v1/ingest/crm"}  # noqa: RUF012 (as declared by the base)

    def documents(self, happening: Happening, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        yield hubspot(happening, 1_000_000 + 10 * self.count)

    def body(self, document: Any, attempt: int = 0) -> bytes:
        return orjson.dumps([event | {"attemptNumber": attempt} for event in document])

    def signed(self, body: bytes, now: datetime) -> Webhook:
        stamp = str(ms(now))
        signature = hmac.digest(self.key.encode(), f"POST{self.url}".encode() + body + stamp.encode(), hashlib.sha256)
        headers = {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": b64encode(signature).decode()}
        return Webhook(body, headers)
