"""How happenings are told: as HubSpot's webhooks, or as Andon's own events in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from services.simulator.model import Happening
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

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
        "attemptNumber": 0, "changeSource": "CRM_UI", "occurredAt": int(happening.time.timestamp() * 1000),
        "portalId": PORTAL, "appId": APP, "objectId": happening.deal,
    }  # fmt: skip
    events: list[dict[str, Any]] = [
        base | {
            "eventId": first_event + number, "subscriptionType": "deal.propertyChange", "propertyName": name,
            "propertyValue": value, "subscriptionId": _SUBSCRIPTIONS[name],
        }
        for number, (name, value) in enumerate(happening.properties.items())
    ]  # fmt: skip
    if happening.created:
        events.append(base | {
            "eventId": first_event + len(events), "subscriptionType": "deal.creation", "changeFlag": "CREATED",
            "subscriptionId": 5500100,
        })  # fmt: skip
    return events


def hubspot_events(told: Iterable[Happening]) -> Iterator[dict[str, Any]]:
    """The webhook events of many happenings, numbered through."""
    number = 1_000_000
    for happening in told:
        events = hubspot(happening, number)
        number += len(events)
        yield from events


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
