"""Close's webhooks: events of whole opportunities with their previous values; signed with a hex-encoded key.

Source: Close's API documentation, "Webhook Subscriptions" and "Event Log"; docs/sources/close.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field, field_validator

from shared.connectors.base.facts import DealFact, Ignored, Parsed, stage_facts, state_facts
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
    text_of,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.settings import ApiSettings, ApiSourceSettings, resolve_secret
from shared.connectors.base.signatures import check_age, required_header, signed_time, verify_hmac
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

STAMP, HASH = "close-sig-timestamp", "close-sig-hash"
_STATUS = {"active": "open", "won": "won", "lost": "lost"}


class CloseApiSettings(ApiSettings):
    """`token`: an API key."""

    url: str = Field(
        "https://api.close.com", pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path"
    )


class CloseSettings(ApiSourceSettings[CloseApiSettings]):
    """`secrets` are signature keys: hexadecimal; Close shows them once, when the subscription is created."""

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        secrets = [resolve_secret(one) for one in written]
        for secret in secrets:
            try:
                bytes.fromhex(secret)
            except ValueError:
                raise ValueError("a signature key of Close is hexadecimal; copy it whole") from None
        return secrets


class CloseWebhook(JsonSource):
    kind: ClassVar[str] = "close"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "secrets": "The secret is signature_key in the answer that created the subscription; Close shows it once.",
    }
    setup_prompt: ClassVar[str] = "secret shown by the CRM"
    prints_secret: ClassVar[bool] = False
    setup_steps: ClassVar[str] = (
        'POST /api/v1/webhook/ with this url and events [{"object_type": "opportunity", "action": "created"}, and the '
        'same with "updated" and "deleted"]; the secret is signature_key of the answer, which is shown once.'
    )
    settings_type = CloseSettings

    def __init__(self, name: str, settings: CloseSettings) -> None:
        super().__init__(name, settings)
        self._keys = [bytes.fromhex(secret) for secret in settings.secrets]

    def verify(self, request: Request) -> None:
        stamp, given = required_header(request.headers, STAMP), required_header(request.headers, HASH)
        verify_hmac(HASH, given, self._keys, stamp.encode() + request.body, "the subscription's signature key")
        check_age(signed_time(STAMP, stamp, timedelta(seconds=1)), request.received_at, STAMP)

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = object_of(object_of(part, "body").get("event"), "event")
        if not is_record_type(event.get("object_type"), "opportunity", "event.object_type"):
            return [Ignored("not-a-deal")]
        deal = id_of(event.get("object_id"), "event.object_id")
        updated = event.get("date_updated") or event.get("date_created")
        # Close may merge a later change into an event and send it again: id and time include the update.
        time = utc_time_of(updated, "event.date_updated")
        event_id = f"{id_of(event.get('id'), 'event.id')}/{text_of(updated, 'event.date_updated', 40)}"
        action = event.get("action")
        if action == "deleted":
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if action not in ("created", "updated"):
            raise InvalidField(f"event.action: {quoted(action)} is not known; created, updated or deleted is expected")
        record = object_of(event.get("data"), "event.data")
        status = status_of(record.get("status_type", "active"), "event.data.status_type")
        data = opportunity_data(record)
        label, pipeline = record.get("status_label"), record.get("pipeline_name")
        return [
            *state_facts(event_id, deal, time, status, data, created=action == "created"),
            *stage_facts(time, data, name=label, pipeline_name=pipeline, outcome=status),
        ]


def status_of(value: Any, field: str) -> str:
    """Open, won or lost."""
    if (status := _STATUS.get(str(value))) is None:
        raise InvalidField(f"{field}: {quoted(value)}; active, won or lost is expected")
    return status


def _cents_of(value: Any, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**30:
        raise InvalidField(f"{field}: {quoted(value)} is not an amount; an integer of cents is expected")
    return f"{Decimal(value).scaleb(-2):f}"


_FIELDS = {
    "pipeline_id": ("pipeline", id_of),
    "status_id": ("stage", id_of),
    "value": ("amount", _cents_of),
    "value_currency": ("currency", currency_of),
    "lead_name": ("name", text_of),
    "date_won": ("expected_close", date_of),
}


def opportunity_data(record: dict[str, Any]) -> dict[str, Any]:
    """Our fields of an opportunity."""
    data = map_fields(record, _FIELDS)
    if isinstance(lead := record.get("lead_id"), str):
        data["url"] = field_value("url", f"https://app.close.com/lead/{lead}/", text_of, "event.data.lead_id")
    return data
