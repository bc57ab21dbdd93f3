"""Freshsales: what a workflow's webhook was told to send; Freshsales has no form of its own, so this is ours.

docs/sources/freshsales.md holds the template to paste.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from shared.connectors.base.json_source import (
    JsonSource,
    day_of,
    fields_of,
    standing,
    taken,
    unnamed,
    verify_key,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    InvalidField,
    Parsed,
    Request,
    SourceSettings,
    amount_of,
    currency_of,
    id_of,
    shown,
    text_of,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

_FIELDS = {
    "stage": ("stage", id_of),
    "pipeline": ("pipeline", id_of),
    "name": ("name", text_of),
    "amount": ("amount", amount_of),
    "currency": ("currency", currency_of),
    "reason": ("reason", text_of),
    "expected_close": ("expected_close", day_of),
    "url": ("url", text_of),
}
_STATUS = {"created": "open", "updated": "open", "won": "won", "lost": "lost"}


class FreshsalesSettings(SourceSettings):
    """`secrets` are keys, sent as header `X-Andon-Key` or at the end of the address (`?key=`)."""


class FreshsalesWebhook(JsonSource):
    kind: ClassVar[str] = "freshsales"
    clicks: ClassVar[str] = (
        "Admin settings > Workflows > New on Deals: Trigger webhook, POST, this URL, header X-Andon-Key "
        "with the secret, JSON with the template of docs/sources/freshsales.md."
    )
    settings_type = FreshsalesSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        # An empty placeholder leaves an empty text: nothing was said.
        document = {name: value for name, value in fields_of(part, "body").items() if value not in ("", None)}
        deal, what = id_of(document.get("deal_id"), "deal_id"), str(document.get("event", "updated"))
        updated = document.get("updated_at")
        time = zoneless(updated, "updated_at") if updated else request.received_at
        # Several saves can have one time: the last that came is the last in order.
        number = (
            f"{deal}/{what}/{updated}/{iso(request.received_at)}" if updated else f"{deal}/{unnamed(request, document)}"
        )
        if what == "deleted":
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if what not in _STATUS:
            raise InvalidField(f"event: {shown(what)} is not known; use deleted or one of {', '.join(_STATUS)}")
        return standing(number, deal, time, _STATUS[what], taken(document, _FIELDS), created=what == "created")
