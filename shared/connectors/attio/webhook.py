"""Attio: which records changed, without their values; signed over the body alone.

Source: Attio's guides on webhooks; docs/sources/attio.md says what to click.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.json_source import JsonSource, fields_of, named, unnamed
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    SourceSettings,
    Unauthenticated,
    fits,
    id_of,
    shown,
    single,
)
from shared.contracts.events import EventType

SIGNATURE, OTHER = "attio-signature", "x-attio-signature"
_WHAT = {
    "record.created": EventType.CREATED,
    "record.updated": EventType.CHANGED,
    "record.deleted": EventType.DELETED,
    "record.merged": EventType.CHANGED,
}


class AttioSettings(SourceSettings):
    """`secrets` are the webhook's secret."""

    deals: str = Field(min_length=1, max_length=100, description="id of the object Deals in your workspace")


class AttioWebhook(JsonSource):
    kind: ClassVar[str] = "attio"
    clicks: ClassVar[str] = (
        "Workspace settings > Developers > your app > Webhooks: this URL, record.created, record.updated,"
        " record.deleted, record.merged, filtered to Deals. The secret is shown there."
    )
    settings_type = AttioSettings
    settings: AttioSettings

    def verify(self, request: Request) -> None:
        given = single(request.headers, SIGNATURE if SIGNATURE in request.headers else OTHER).encode()
        keys = self.settings.secrets
        if not fits([hmac.digest(key.encode(), request.body, hashlib.sha256).hex().encode() for key in keys], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {SIGNATURE} does not fit; compare the webhook's secret with `secrets`",
            )

    def parts(self, document: Any) -> Iterable[Any]:
        events = fields_of(document, "body").get("events")
        if not isinstance(events, list):
            raise InvalidField(f"events: {shown(events)}; a list is expected")
        return events

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = fields_of(part, "event")
        what = named(event.get("event_type"), "event_type")
        ids = fields_of(event.get("id"), "id")
        if not what.startswith("record.") or ids.get("object_id") != self.settings.deals:
            return [Ignored("not-a-deal")]
        if what not in _WHAT:
            raise InvalidField(f"event_type: {shown(what)} is not known; one of {', '.join(_WHAT)} is expected")
        # Neither values nor a time are sent: that something changed, and no more, is known.
        number, deal, time = unnamed(request, event), id_of(ids.get("record_id"), "id.record_id"), request.received_at
        if what == "record.merged" and (gone := event.get("duplicate_record_id")) is not None:
            into = {"into": f"{self.name}:{deal}"}
            return [DealFact(EventType.MERGED, number, id_of(gone, "duplicate_record_id"), time, into)]
        return [DealFact(_WHAT[what], number, deal, time, {})]
