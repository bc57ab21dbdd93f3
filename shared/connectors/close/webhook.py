"""Close: events of opportunities, whole with what they were before; signed with a hex-decoded key.

Source: Close's API documentation, "Webhook Subscriptions" and "Event Log"; docs/sources/close.md says what to click.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field, field_validator

from shared.connectors.base.api_settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.json_source import (
    JsonSource,
    beside,
    day_of,
    fields_of,
    named,
    standing,
    taken,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    Unauthenticated,
    check_age,
    currency_of,
    fits,
    id_of,
    resolve,
    shown,
    single,
    stamp_of,
    text_of,
)
from shared.contracts.events import EventType

STAMP, HASH = "close-sig-timestamp", "close-sig-hash"
_STATUS = {"active": "open", "won": "won", "lost": "lost"}


class CloseApiSettings(ApiSettings):
    """`token`: an API key."""

    url: str = Field(
        "https://api.close.com", pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path"
    )


class CloseSettings(ApiSourceSettings):
    """`secrets` are signature keys: hexadecimal, shown by Close once, when the subscription is made."""

    api: CloseApiSettings | None = Field(None, description="the API, for the enricher; without it nothing is asked")

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        secrets = [resolve(one) for one in written]
        for secret in secrets:
            try:
                bytes.fromhex(secret)
            except ValueError:
                raise ValueError("a signature key of Close is hexadecimal; copy it whole") from None
        return secrets


class CloseWebhook(JsonSource):
    kind: ClassVar[str] = "close"
    clicks: ClassVar[str] = (
        'POST /api/v1/webhook/ with this url and events [{"object_type": "opportunity", "action": "created"}, and the '
        'same with "updated" and "deleted"]; the secret is signature_key of the answer, which is shown once.'
    )
    settings_type = CloseSettings

    def __init__(self, name: str, settings: CloseSettings) -> None:
        super().__init__(name, settings)
        self._keys = [bytes.fromhex(secret) for secret in settings.secrets]

    def verify(self, request: Request) -> None:
        stamp, given = single(request.headers, STAMP), single(request.headers, HASH).encode()
        signed = stamp.encode() + request.body
        if not fits([hmac.digest(key, signed, hashlib.sha256).hex().encode() for key in self._keys], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {HASH} does not fit; compare the subscription's signature key with `secrets`",
            )
        check_age(stamp_of(STAMP, stamp, timedelta(seconds=1)), request.received_at, STAMP)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = fields_of(fields_of(part, "body").get("event"), "event")
        if named(event.get("object_type"), "event.object_type") != "opportunity":
            return [Ignored("not-a-deal")]
        deal = id_of(event.get("object_id"), "event.object_id")
        updated = event.get("date_updated") or event.get("date_created")
        # Close may send an event again with what has changed meanwhile: number and time are those of the change.
        time = zoneless(updated, "event.date_updated")
        number = f"{id_of(event.get('id'), 'event.id')}/{text_of(updated, 'event.date_updated', 40)}"
        action = event.get("action")
        if action == "deleted":
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if action not in ("created", "updated"):
            raise InvalidField(f"event.action: {shown(action)} is not known; created, updated or deleted is expected")
        data = fields_of(event.get("data"), "event.data")
        status = status_of(data.get("status_type", "active"), "event.data.status_type")
        told = told_of(data)
        label, pipeline = data.get("status_label"), data.get("pipeline_name")
        return [
            *standing(number, deal, time, status, told, created=action == "created"),
            *beside(time, told, name=label, pipeline_name=pipeline, outcome=status),
        ]


def status_of(value: Any, field: str) -> str:
    """Open, won or lost."""
    if (status := _STATUS.get(str(value))) is None:
        raise InvalidField(f"{field}: {shown(value)}; active, won or lost is expected")
    return status


def _cents(value: Any, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**30:
        raise InvalidField(f"{field}: {shown(value)} is no amount; an integer of cents is expected")
    return f"{Decimal(value).scaleb(-2):f}"


_FIELDS = {
    "pipeline_id": ("pipeline", id_of),
    "status_id": ("stage", id_of),
    "value": ("amount", _cents),
    "value_currency": ("currency", currency_of),
    "lead_name": ("name", text_of),
    "date_won": ("expected_close", day_of),
}


def told_of(data: dict[str, Any]) -> dict[str, Any]:
    """Our fields of an opportunity."""
    told = taken(data, _FIELDS)
    if isinstance(lead := data.get("lead_id"), str):
        told["url"] = text_of(f"https://app.close.com/lead/{lead}/", "event.data.lead_id")
    return told
