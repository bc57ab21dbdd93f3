"""Twenty's webhooks: events of opportunities with the whole record; the signature covers time and body.

Source: the code of Twenty's webhook job; docs/sources/twenty.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Parsed, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    currency_of,
    date_of,
    field_value,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    quoted,
    record_type_of,
    text_of,
    time_of,
)
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import check_age, required_header, signed_time, verify_hmac
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

STAMP, SIGNATURE = "x-twenty-webhook-timestamp", "x-twenty-webhook-signature"
_FIELDS = {"stage": ("stage", id_of), "name": ("name", text_of), "closeDate": ("expected_close", date_of)}
_DELETED = ("deleted", "destroyed")


class TwentySettings(SourceSettings):
    """`secrets` are the webhook's secret."""

    address: str = Field(
        "", pattern=r"^(https?://[^\s/]+)?$", description="address of Twenty, for links to deals; empty: no links"
    )


class TwentyWebhook(JsonSource):
    kind: ClassVar[str] = "twenty"
    setup_steps: ClassVar[str] = (
        "Settings > APIs and webhooks > Create webhook: this URL, object Opportunity, all actions, the secret."
    )
    settings_type = TwentySettings
    settings: TwentySettings

    def verify(self, request: Request) -> None:
        stamp, given = required_header(request.headers, STAMP), required_header(request.headers, SIGNATURE)
        keys = [secret.encode() for secret in self.settings.secrets]
        verify_hmac(SIGNATURE, given, keys, f"{stamp}:".encode() + request.body, "the webhook's secret")
        check_age(signed_time(STAMP, stamp, timedelta(milliseconds=1)), request.received_at, STAMP)

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = object_of(part, "body")
        if "eventName" not in document and "event" in document:
            # The format in Twenty's documentation; its code never sends it.
            document = {
                "eventName": document["event"],
                "record": document.get("data"),
                "eventDate": document.get("timestamp"),
            }
        record_type, _, event = record_type_of(document.get("eventName"), "eventName").partition(".")
        if not is_record_type(record_type, "opportunity", "eventName"):
            return [Ignored("not-a-deal")]
        record = object_of(document.get("record"), "record")
        deal = id_of(record.get("id"), "record.id")
        time = time_of(document.get("eventDate"), "eventDate")
        id_parts = (document.get("webhookId"), event, deal, record.get("updatedAt") or time)
        event_id = "/".join(str(part)[:80] for part in id_parts)
        if event in _DELETED:
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if event == "updated" and document.get("updatedFields") == ["position"]:
            return [Ignored("position-on-the-board")]
        data = self._deal_data(record, deal)
        if event == "restored":
            return [DealFact(EventType.REOPENED, event_id, deal, time, data)]
        if (deleted_at := record.get("deletedAt")) not in (None, ""):
            removed = time_of(deleted_at, "record.deletedAt")
            return [DealFact(EventType.DELETED, event_id, deal, removed, {})]
        if event not in ("created", "updated"):
            raise InvalidField(
                f"eventName: {quoted(document.get('eventName'))} is not known; created, updated or deleted is expected"
            )
        changed = document.get("updatedFields")
        restored = event == "updated" and isinstance(changed, list) and "deletedAt" in changed
        return state_facts(event_id, deal, time, "open", data, created=event == "created", restored=restored)

    def _deal_data(self, record: dict[str, Any], deal: str) -> dict[str, Any]:
        data = map_fields(record, _FIELDS)
        amount = record.get("amount")
        if isinstance(amount, dict) and "amountMicros" in amount:
            micros = amount["amountMicros"]
            data["amount"] = field_value("amount", micros, _amount_of_micros, "amount.amountMicros")
            data["currency"] = field_value("currency", amount.get("currencyCode"), currency_of, "amount.currencyCode")
        if self.settings.address:
            data["url"] = f"{self.settings.address}/object/opportunity/{deal}"
        return data


def _amount_of_micros(value: Any, field: str) -> str:
    text = str(value) if isinstance(value, int | str) else ""
    if not text.removeprefix("-").isdigit() or not text.isascii() or len(text) > 30:
        raise InvalidField(f"{field}: {quoted(value)} is not an amount; an integer of millionths is expected")
    return f"{Decimal(text).scaleb(-6).normalize():f}"
