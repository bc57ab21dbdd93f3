"""HubSpot: one event per changed property, signature version 3."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar

import orjson

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, ms
from services.simulator.model import DealChange

PORTAL, APP = 48112233, 7654321
# HubSpot sends up to 100 events in one request.
EVENTS_PER_REQUEST = 100
# Ids of live events start above those of any history.
FIRST_LIVE_EVENT = 500_000_000
_SUBSCRIPTIONS = {
    "amount": 5500102,
    "closedate": 5500103,
    "pipeline": 5500105,
    "dealname": 5500106,
    "dealstage": 5500101,
    "deal_currency_code": 5500107,
}


def hubspot(change: DealChange, first_event: int) -> list[dict[str, Any]]:
    """One event per changed property, then the creation, as HubSpot sends them; `first_event` is the first id."""
    base = {
        "attemptNumber": 0,
        "changeSource": "CRM_UI",
        "occurredAt": int(change.time.timestamp() * 1000),
        "portalId": PORTAL,
        "appId": APP,
        "objectId": change.deal,
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
        for number, (name, value) in enumerate(change.properties.items())
    ]
    if change.created:
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


def hubspot_events(changes: Iterable[DealChange]) -> Iterator[dict[str, Any]]:
    """The events of many changes, with ids in sequence."""
    number = 1_000_000
    for change in changes:
        events = hubspot(change, number)
        number += len(events)
        yield from events


def arrays(events: Iterable[Any]) -> Iterator[list[Any]]:
    """Events grouped into requests."""
    rest = iter(events)
    while array := list(islice(rest, EVENTS_PER_REQUEST)):
        yield array


class HubSpotDialect(Dialect):
    kind: ClassVar[str] = "hubspot"
    settings = {"public_url": "https://hooks.example.org/v1/ingest/crm"}  # noqa: RUF012 (as declared by the base)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        yield hubspot(change, 1_000_000 + 10 * self.count)

    def history(self, changes: Iterable[DealChange]) -> Iterator[Any]:
        return arrays(hubspot_events(changes))

    def live(self, change: DealChange, number: int) -> Iterator[Any]:
        yield hubspot(change, FIRST_LIVE_EVENT + 10 * number)

    def restore(self, past: Iterable[DealChange]) -> None:
        """Nothing: HubSpot sends only what changed."""

    def body(self, document: Any, attempt: int = 0) -> bytes:
        return orjson.dumps([event | {"attemptNumber": attempt} for event in document])

    def sign(self, body: bytes, now: datetime) -> Webhook:
        stamp = str(ms(now))
        signature = hmac.digest(self.key.encode(), f"POST{self.url}".encode() + body + stamp.encode(), hashlib.sha256)
        headers = {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": b64encode(signature).decode()}
        return Webhook(body, headers)
