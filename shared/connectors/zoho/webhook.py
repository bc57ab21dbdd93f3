"""Zoho CRM's notifications: ids of deals, with the changed values if the channel requests them.

Source: Zoho's CRM API, "Notifications"; docs/sources/zoho.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from shared.connectors.base.body_secret import BodySecretSource
from shared.connectors.base.facts import DealFact, Ignored, Parsed
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    date_of,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    quoted,
    text_of,
    time_of_ms,
)
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

_OPERATIONS = ("insert", "create", "update", "edit")
_FIELDS = {
    "Stage": ("stage", id_of),
    "Pipeline": ("pipeline", id_of),
    "Deal_Name": ("name", text_of),
    "Amount": ("amount", amount_of),
    "Closing_Date": ("expected_close", date_of),
}


class ZohoSettings(SourceSettings):
    """`secrets` are the channel's `token`, which Zoho sends back in the body."""


class ZohoWebhook(BodySecretSource):
    kind: ClassVar[str] = "zoho"
    setup_steps: ClassVar[str] = (
        "POST {api-domain}/crm/v8/actions/watch with a channel_id, events Deals.all, this notify_url, the secret as "
        "token, return_affected_field_values true, notify_on_related_action false, and channel_expiry in a week: "
        "without it the channel expires after an hour. Renew it before it expires."
    )
    settings_type = ZohoSettings

    @property
    def secret_field(self) -> str:
        return "token"

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = object_of(part, "body")
        if not is_record_type(document.get("module"), "Deals", "module"):
            return [Ignored("not-a-deal")]
        values = _values(document.get("affected_values"))
        return self.parse_each(document.get("ids"), lambda deal: [self._fact(document, deal, values)], request)

    def _fact(self, document: dict[str, Any], deal: str, values: dict[str, Any]) -> Parsed:
        stamp, operation = document.get("server_time"), str(document.get("operation"))[:40]
        event_id = f"{str(document.get('channel_id'))[:40]}/{operation}/{deal}/{stamp}"
        time = time_of_ms(stamp, "server_time")
        if operation == "delete":
            return DealFact(EventType.DELETED, event_id, deal, time, {})
        if operation not in _OPERATIONS:
            raise InvalidField(f"operation: {quoted(operation)} is not known; insert, update or delete is expected")
        # Zoho also sends `insert` for changes of existing deals, so it does not mean that the deal is new.
        data = map_fields(object_of(values.get(deal) or {}, "values"), _FIELDS)
        return DealFact(EventType.MOVED if data.get("stage") else EventType.CHANGED, event_id, deal, time, data)


def _values(listed: Any) -> dict[str, Any]:
    """The changed values by record; empty if the channel does not request them."""
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return {str(entry.get("record_id")): entry.get("values") for entry in entries}
