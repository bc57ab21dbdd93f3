"""Twenty: events of opportunities with the whole record; signed over time and body.

Source: the code of Twenty's webhook job; docs/sources/twenty.md says what to click.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.json_source import JsonSource, day_of, fields_of, named, standing, taken
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    SourceSettings,
    Unauthenticated,
    check_age,
    currency_of,
    fits,
    id_of,
    moment_of_text,
    shown,
    single,
    stamp_of,
    text_of,
)
from shared.contracts.events import EventType

STAMP, SIGNATURE = "x-twenty-webhook-timestamp", "x-twenty-webhook-signature"
_FIELDS = {"stage": ("stage", id_of), "name": ("name", text_of), "closeDate": ("expected_close", day_of)}
_GONE = {"deleted": EventType.DELETED, "destroyed": EventType.DELETED}


class TwentySettings(SourceSettings):
    """`secrets` are the webhook's secret."""

    address: str = Field(
        "", pattern=r"^(https?://[^\s/]+)?$", description="address of Twenty, for links to deals; empty: no links"
    )


class TwentyWebhook(JsonSource):
    kind: ClassVar[str] = "twenty"
    clicks: ClassVar[str] = (
        "Settings > APIs and webhooks > Create webhook: this URL, object Opportunity, all actions, the secret."
    )
    settings_type = TwentySettings
    settings: TwentySettings

    def verify(self, request: Request) -> None:
        stamp, given = single(request.headers, STAMP), single(request.headers, SIGNATURE).encode()
        signed = f"{stamp}:".encode() + request.body
        right = [hmac.digest(key.encode(), signed, hashlib.sha256).hex().encode() for key in self.settings.secrets]
        if not fits(right, [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {SIGNATURE} does not fit; compare the webhook's secret with `secrets`",
            )
        check_age(stamp_of(STAMP, stamp, timedelta(milliseconds=1)), request.received_at, STAMP)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = fields_of(part, "body")
        if "eventName" not in document and "event" in document:
            # The form of Twenty's documentation, which its code does not send.
            document = {
                "eventName": document["event"],
                "record": document.get("data"),
                "eventDate": document.get("timestamp"),
            }
        about, _, what = named(document.get("eventName"), "eventName").partition(".")
        if about != "opportunity":
            return [Ignored("not-a-deal")]
        record = fields_of(document.get("record"), "record")
        deal = id_of(record.get("id"), "record.id")
        time = moment_of_text(document.get("eventDate"), "eventDate")
        number = "/".join(
            str(one)[:80] for one in (document.get("webhookId"), what, deal, record.get("updatedAt") or time)
        )
        if what in _GONE:
            return [DealFact(_GONE[what], number, deal, time, {})]
        if what == "updated" and document.get("updatedFields") == ["position"]:
            return [Ignored("position-on-the-board")]
        told = self._told(record, deal)
        if what == "restored":
            return [DealFact(EventType.REOPENED, number, deal, time, told)]
        if what not in ("created", "updated"):
            raise InvalidField(f"eventName: {shown(document.get('eventName'))} is not known; created, updated, deleted")
        return standing(number, deal, time, "open", told, created=what == "created")

    def _told(self, record: dict[str, Any], deal: str) -> dict[str, Any]:
        told = taken(record, _FIELDS)
        amount = record.get("amount")
        if isinstance(amount, dict) and "amountMicros" in amount:
            micros = amount["amountMicros"]
            told["amount"] = None if micros is None else _micros(micros)
            told["currency"] = currency_of(amount.get("currencyCode") or "", "amount.currencyCode") or None
        if self.settings.address:
            told["url"] = f"{self.settings.address}/object/opportunity/{deal}"
        return told


def _micros(value: Any) -> str:
    text = str(value) if isinstance(value, int | str) else ""
    if not text.removeprefix("-").isdigit() or not text.isascii() or len(text) > 30:
        raise InvalidField(f"amount.amountMicros: {shown(value)} is no amount; an integer of millionths is expected")
    return f"{Decimal(text).scaleb(-6).normalize():f}"
