"""Attio's webhooks: which records changed, without their values; the signature covers only the body.

Source: Attio's guides on webhooks; docs/sources/attio.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Parsed
from shared.connectors.base.fields import InvalidField, id_of, object_of, quoted, record_type_of
from shared.connectors.base.json_source import JsonSource, content_id
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import required_header, verify_hmac
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

SIGNATURE, OTHER = "attio-signature", "x-attio-signature"
_TYPES = {
    "record.created": EventType.CREATED,
    "record.updated": EventType.CHANGED,
    "record.deleted": EventType.DELETED,
    "record.merged": EventType.CHANGED,
}


class AttioSettings(SourceSettings):
    """`secrets` are the webhook's secret."""

    deals: str = Field(min_length=1, max_length=100, description="id of the Deals object in your workspace")


class AttioWebhook(JsonSource):
    kind: ClassVar[str] = "attio"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "secrets": "The secret is in Attio under Workspace settings > Developers > your app > Webhooks.",
        "deals": "The id of the object is object_id of Deals in the answer of GET https://api.attio.com/v2/objects.",
    }
    setup_prompt: ClassVar[str] = "secret shown by the CRM"
    prints_secret: ClassVar[bool] = False
    setup_steps: ClassVar[str] = (
        "Workspace settings > Developers > your app > Webhooks: this URL, record.created, record.updated,"
        " record.deleted, record.merged, filtered to Deals. The secret is shown there."
    )
    settings_type = AttioSettings
    settings: AttioSettings

    def verify(self, request: Request) -> None:
        given = required_header(request.headers, SIGNATURE if SIGNATURE in request.headers else OTHER)
        keys = [secret.encode() for secret in self.settings.secrets]
        verify_hmac(SIGNATURE, given, keys, request.body, "the webhook's secret")

    def split(self, document: Any) -> Sequence[Any]:
        events = object_of(document, "body").get("events")
        if not isinstance(events, list):
            raise InvalidField(f"events: {quoted(events)}; a list is expected")
        return events

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = object_of(part, "event")
        event_type = record_type_of(event.get("event_type"), "event_type")
        ids = event.get("id")
        # Events of lists, notes and attributes have other ids.
        if not event_type.startswith("record.") and not (isinstance(ids, dict) and "record_id" in ids):
            return [Ignored("not-a-deal")]
        ids = object_of(ids, "id")
        if ids.get("object_id") != self.settings.deals:
            return [Ignored("not-a-deal")]
        if event_type not in _TYPES:
            raise InvalidField(f"event_type: {quoted(event_type)} is not known; one of {', '.join(_TYPES)} is expected")
        # Attio sends neither values nor a time.
        event_id, time = content_id(request, event), request.received_at
        deal = id_of(ids.get("record_id"), "id.record_id")
        if event_type == "record.merged" and (duplicate := event.get("duplicate_record_id")) is not None:
            into = {"into": f"{self.name}:{deal}"}
            return [DealFact(EventType.MERGED, event_id, id_of(duplicate, "duplicate_record_id"), time, into)]
        return [DealFact(_TYPES[event_type], event_id, deal, time, {})]
