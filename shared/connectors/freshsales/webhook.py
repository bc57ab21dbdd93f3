"""Freshsales' workflow webhooks, whose format the user's template defines.

docs/sources/freshsales.md has the template to paste.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

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
from shared.connectors.base.json_body import parse_json
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
# Fields that people fill in: their quotation marks break the JSON of a template.
_FREE_TEXT = ("name", "reason", "stage", "pipeline")
_KEYS = "|".join((*_FIELDS, "event", "deal_id", "updated_at"))
_BROKEN = re.compile(
    rf'"({"|".join(_FREE_TEXT)})"\s*:\s*"(.{{0,4000}}?)"(?=\s*,\s*"(?:{_KEYS})"\s*:|\s*\}}\s*$)', re.DOTALL
)
# A colon without a value; a text, which stays as it is; a comma after the last field.
_EMPTY_OR_LAST = re.compile(r'(:\s*)(?=[,}])|("(?:\\.|[^"\\])*")|,(?=\s*\})', re.DOTALL)
_MAX_TEMPLATE_BYTES = 65_536
_FORM = "application/x-www-form-urlencoded"
_REOPENED = ("reopened", "restored")
_STATUS = {"created": "open", "updated": "open", "won": "won", "lost": "lost"}


class FreshsalesSettings(SourceSettings):
    """`secrets` are keys, sent as header `X-Andon-Key` or in the URL (`?key=`)."""


class FreshsalesWebhook(JsonSource):
    kind: ClassVar[str] = "freshsales"
    setup_steps: ClassVar[str] = (
        "Admin settings > Workflows > New on Deals, created or updated: Trigger webhook, POST, this URL, header "
        "X-Andon-Key with the secret, JSON with the template of docs/sources/freshsales.md."
    )
    settings_type = FreshsalesSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def read(self, request: Request) -> Any:
        """A form or JSON. Freshsales does not escape texts, so a quotation mark in a name ends its text early."""
        if request.headers.get("content-type", "").lower().startswith(_FORM):
            return _unrepeated(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return parse_json(request.body)
        except InvalidField:
            if len(request.body) > _MAX_TEMPLATE_BYTES:
                raise
            return _repaired(request.body)

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
        data = map_fields(document, _FIELDS)
        if event in _REOPENED:
            return [DealFact(EventType.REOPENED, event_id, deal, time, data)]
        if event not in _STATUS:
            known = ", ".join((*_REOPENED, *_STATUS))
            raise InvalidField(f"event: {quoted(event)} is not known; use deleted or one of {known}")
        return state_facts(event_id, deal, time, _STATUS[event], data, created=event == "created")


def _repaired(body: bytes) -> Any:
    """The document of a filled-in template, with the quotation marks of its texts escaped; raises InvalidField.

    A field without quotation marks may be empty, and a comma may follow the last one.

    A name that looks like another field makes that field come twice; this is refused.
    """
    text = body.decode("utf-8", "replace")
    escaped = _BROKEN.sub(lambda match: f'"{match[1]}": {json.dumps(match[2])}', text)
    escaped = _EMPTY_OR_LAST.sub(_completed, escaped)
    document = parse_json(escaped.encode())
    # Raises where a field comes twice.
    json.loads(escaped, object_pairs_hook=_unrepeated)
    return document


def _completed(match: re.Match[str]) -> str:
    return f"{match[1]}null" if match[1] else match[2] or ""


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a form or template; raises InvalidField if one comes twice."""
    document = dict(pairs)
    if len(document) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InvalidField(f"{name[:60]}: came twice; take free text out of the template, or send a form")
    return document
