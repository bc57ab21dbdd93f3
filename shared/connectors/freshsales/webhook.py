"""Freshsales' workflow webhooks: Freshsales has no format of its own, so the template defines it.

docs/sources/freshsales.md has the template to paste.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from shared.connectors.base.facts import DealFact, Parsed, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    currency_of,
    date_of,
    id_of,
    map_fields,
    object_of,
    quoted,
    text_of,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource, content_id
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import verify_key
from shared.connectors.base.source import Request
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

_FIELDS = {
    "stage": ("stage", id_of),
    "pipeline": ("pipeline", id_of),
    "name": ("name", text_of),
    "amount": ("amount", amount_of),
    "currency": ("currency", currency_of),
    "reason": ("reason", text_of),
    "expected_close": ("expected_close", date_of),
    "url": ("url", text_of),
}
_STATUS = {"created": "open", "updated": "open", "won": "won", "lost": "lost"}


class FreshsalesSettings(SourceSettings):
    """`secrets` are keys, sent as header `X-Andon-Key` or in the URL (`?key=`)."""


class FreshsalesWebhook(JsonSource):
    kind: ClassVar[str] = "freshsales"
    setup_steps: ClassVar[str] = (
        "Admin settings > Workflows > New on Deals: Trigger webhook, POST, this URL, header X-Andon-Key "
        "with the secret, JSON with the template of docs/sources/freshsales.md."
    )
    settings_type = FreshsalesSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        # The template renders an unset field as an empty text.
        document = {name: value for name, value in object_of(part, "body").items() if value not in ("", None)}
        deal, event = id_of(document.get("deal_id"), "deal_id"), str(document.get("event", "updated"))
        updated = document.get("updated_at")
        time = utc_time_of(updated, "updated_at") if updated else request.received_at
        # Several saves may have the same time: the latest arrival wins.
        save = f"{event}/{updated}/{iso(request.received_at)}" if updated else content_id(request, document)
        event_id = f"{deal}/{save}"
        if event == "deleted":
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if event not in _STATUS:
            raise InvalidField(f"event: {quoted(event)} is not known; use deleted or one of {', '.join(_STATUS)}")
        data = map_fields(document, _FIELDS)
        return state_facts(event_id, deal, time, _STATUS[event], data, created=event == "created")
