"""Zoho CRM notifications: ids of deals, and the values that changed where the channel was asked for them.

Source: Zoho's CRM API, "Notifications"; docs/sources/zoho.md says how to set a channel up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from shared.connectors.base.json_source import JsonSource, blanked, day_of, fields_of, named, taken
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    SourceSettings,
    Unauthenticated,
    amount_of,
    fits,
    id_of,
    json_of,
    moment_of_ms,
    shown,
    text_of,
)
from shared.contracts.events import EventType

_FIELDS = {
    "Stage": ("stage", id_of),
    "Pipeline": ("pipeline", id_of),
    "Deal_Name": ("name", text_of),
    "Amount": ("amount", amount_of),
    "Closing_Date": ("expected_close", day_of),
}


class ZohoSettings(SourceSettings):
    """`secrets` are the channel's `token`, which Zoho sends back in the body."""


class ZohoWebhook(JsonSource):
    kind: ClassVar[str] = "zoho"
    clicks: ClassVar[str] = (
        "POST {api-domain}/crm/v8/actions/watch with a channel_id, events Deals.all, this notify_url, the secret as "
        "token, return_affected_field_values true, notify_on_related_action false, and channel_expiry in a week: "
        "without it the channel ends after an hour. Enable it anew before it ends."
    )
    settings_type = ZohoSettings

    def verify(self, request: Request) -> None:
        """The token stands in the body, so that the body is read first; its size was limited before."""
        try:
            document = json_of(request.body)
        except InvalidField as error:
            raise Unauthenticated(RefusalReason.UNKNOWN_FORM, str(error), 415) from None
        token = document.get("token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token:
            raise Unauthenticated(RefusalReason.NO_SIGNATURE, "token: is missing; set one when the channel is enabled")
        given = token.encode("utf-8", "surrogatepass")
        if not fits([secret.encode() for secret in self.settings.secrets], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, "token is not one of this source; compare the channel's with `secrets`"
            )

    def kept(self, request: Request) -> bytes:
        return blanked(request.body, self.settings.secrets, "token")

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = fields_of(part, "body")
        if named(document.get("module"), "module") != "Deals":
            return [Ignored("not-a-deal")]
        ids = document.get("ids")
        if not isinstance(ids, list) or not ids:
            raise InvalidField(f"ids: {shown(ids)}; a list of records is expected")
        values = _values(document.get("affected_values"))
        return [self._one(document, id_of(one, "ids"), values) for one in ids]

    def _one(self, document: dict[str, Any], deal: str, values: dict[str, dict[str, Any]]) -> Parsed:
        stamp, operation = document.get("server_time"), str(document.get("operation"))[:40]
        number = f"{str(document.get('channel_id'))[:40]}/{operation}/{deal}/{stamp}"
        time = moment_of_ms(stamp, "server_time")
        if operation == "delete":
            return DealFact(EventType.DELETED, number, deal, time, {})
        # `insert` is sent for changes of deals that exist, too: what is new is known by the deal, not by this word.
        told = taken(values.get(deal, {}), _FIELDS)
        return DealFact(EventType.MOVED if told.get("stage") else EventType.CHANGED, number, deal, time, told)


def _values(listed: Any) -> dict[str, dict[str, Any]]:
    """The changed values by record; none where the channel was not asked for them."""
    found: dict[str, dict[str, Any]] = {}
    for entry in listed if isinstance(listed, list) else ():
        one = fields_of(entry, "affected_values")
        found[id_of(one.get("record_id"), "record_id")] = fields_of(one.get("values"), "values")
    return found
