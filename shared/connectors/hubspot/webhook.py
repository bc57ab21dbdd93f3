"""HubSpot's app webhooks: arrays of events, one property each; signature v3, older ones only if allowed.

Source: HubSpot's guides "Webhooks API" and "Validating requests"; docs/sources/hubspot.md has the set-up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    currency_of,
    id_of,
    invalid_json,
    is_record_type,
    quoted,
    record_type_of,
    text_of,
    time_of_ms,
)
from shared.connectors.base.json_body import parse_json
from shared.connectors.base.settings import MIB, ApiSettings, ApiSourceSettings
from shared.connectors.base.signatures import check_age, matches_any, required_header, signed_time
from shared.connectors.base.source import RefusalReason, Request, Source, Unauthenticated
from shared.contracts.envelope import compact, iso
from shared.contracts.events import EventType

# Escapes that HubSpot decodes in the URL before it signs.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)
STAMP, V3, V1, VERSION = (
    "x-hubspot-request-timestamp",
    "x-hubspot-signature-v3",
    "x-hubspot-signature",
    "x-hubspot-signature-version",
)
DEAL = "0-3"
_IRRELEVANT = ("associationChange", "privacyDeletion")


class HubSpotApiSettings(ApiSettings):
    """`token`: access token of a private app with the scope crm.objects.deals.read."""

    url: str = Field(
        "https://api.hubapi.com", pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path"
    )


class HubSpotSettings(ApiSourceSettings[HubSpotApiSettings]):
    """`secrets` are the app's client secrets."""

    public_url: str = Field(
        pattern=r"^https?://[^\s#]+$",
        description="the target URL as written in the app: HubSpot signs it",
    )
    portal: int | None = Field(None, description="accept only events of this HubSpot account")
    deal_url: str = Field(
        "https://app.hubspot.com/contacts/{portal}/record/0-3/{deal}",
        description="link to a deal; {portal} and {deal} are filled in",
    )
    allow_v1: bool = Field(
        False, description="accept requests signed only by version 1, which anyone who captures one can replay"
    )
    allow_v2: bool = Field(False, description="accept requests signed only by version 2, which can also be replayed")
    max_bytes: int = Field(8 * MIB, ge=1024, le=64 * MIB, description="largest accepted body, in bytes")

    @field_validator("deal_url")
    @classmethod
    def _check_placeholders(cls, written: str) -> str:
        try:
            written.format(portal=1, deal=1)
        except (KeyError, IndexError, ValueError):
            raise ValueError("only {portal} and {deal} can be filled in") from None
        return written


class HubSpotWebhook(Source):
    kind: ClassVar[str] = "hubspot"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "secrets": "The client secret is in HubSpot under your app > Auth > Client secret > Show.",
    }
    setup_prompt: ClassVar[str] = "secret shown by the CRM"
    prints_secret: ClassVar[bool] = False
    setup_steps: ClassVar[str] = (
        "In your app: Webhooks > target URL, then subscriptions for deals: creation, deletion, merge, "
        "restore and the properties dealstage, pipeline, dealname, amount, deal_currency_code, closedate,"
        " notes_next_activity_date. The secret is the client secret (Auth)."
    )
    settings_type = HubSpotSettings
    settings: HubSpotSettings

    def __init__(self, name: str, settings: HubSpotSettings) -> None:
        super().__init__(name, settings)
        self._keys = [secret.encode() for secret in settings.secrets]
        url = _ENCODED.sub(lambda match: _DECODED[match[0].upper()], settings.public_url)
        self._signed_head = f"POST{url}".encode()

    def verify(self, request: Request) -> None:
        """Version 3 if it is there: a valid older signature never excuses a wrong version 3."""
        if V3 not in request.headers and (self.settings.allow_v1 or self.settings.allow_v2):
            return self._verify_older(request)
        given, stamp = required_header(request.headers, V3).encode(), required_header(request.headers, STAMP)
        signed = self._signed_head + request.body + stamp.encode()
        if not matches_any([b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {V3} does not match: compare the app's client secret with `secrets`, and the app's target URL"
                f" with public_url {self.settings.public_url}",
            )
        check_age(signed_time(STAMP, stamp, timedelta(milliseconds=1)), request.received_at, STAMP)
        return None

    def _verify_older(self, request: Request) -> None:
        """Versions 1 and 2 are plain hashes over the secret and the body; 2 includes method and URL."""
        given, version = required_header(request.headers, V1).encode(), request.headers.get(VERSION, "v1")
        allowed = {"v1": self.settings.allow_v1, "v2": self.settings.allow_v2}
        signed = (self._signed_head if version == "v2" else b"") + request.body
        expected = [hashlib.sha256(key + signed).hexdigest().encode() for key in self._keys]
        if not allowed.get(version, False) or not matches_any(expected, [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {V1} does not match as version {version[:10]}, or that version is not allowed: compare the"
                " app's client secret with `secrets`, and see allow_v1 and allow_v2",
            )

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = parse_json(request.body)
        except InvalidField as error:
            return [invalid_json(request.body, error)]
        if not isinstance(document, list):
            return [Invalid(f"body: an array of events is expected, found {type(document).__name__}", request.body)]
        if excess := self.excess(len(document), request):
            return [excess]
        parsed: list[Parsed] = []
        for event in document:
            try:
                parsed += self._parse(event)
            except InvalidField as error:
                parsed.append(Invalid(str(error), compact(event)))
        return parsed

    def _parse(self, event: Any) -> list[Parsed]:
        if not isinstance(event, dict):
            raise InvalidField(f"event: an object is expected, found {quoted(event)}")
        subscription = event.get("subscriptionType", event.get("eventType"))
        record_type, _, change = subscription.partition(".") if isinstance(subscription, str) else ("", "", "")
        if not change:
            raise InvalidField(f"subscriptionType: {quoted(subscription)}; as deal.creation is expected")
        if record_type == "object":
            record_type_of(event.get("objectTypeId"), "objectTypeId")
        is_deal = is_record_type(record_type, "deal", "subscriptionType")
        if not is_deal and not (record_type == "object" and event.get("objectTypeId") == DEAL):
            return [Ignored("not-a-deal")]
        parse = _PARSERS.get(change)
        if parse is None:
            if change in _IRRELEVANT:
                return [Ignored(change)]
            raise InvalidField(
                f"subscriptionType: {quoted(subscription)} is not known; report it to the developers of Andon"
            )
        if self.settings.portal is not None and event.get("portalId") != self.settings.portal:
            raise InvalidField(
                f"portalId: {quoted(event.get('portalId'))} is not the account {self.settings.portal} of this source"
            )
        return parse(self, event)

    def _fact(self, event: dict[str, Any], kind: EventType, data: dict[str, Any], deal: Any = None) -> DealFact:
        deal_id = id_of(event.get("objectId") if deal is None else deal, "objectId")
        subscription = str(event.get("subscriptionType", event.get("eventType")))
        parts = (
            id_of(event.get("portalId"), "portalId"),
            subscription,
            deal_id,
            str(event.get("propertyName") or ""),
            id_of(event.get("eventId"), "eventId"),
        )
        time = time_of_ms(event.get("occurredAt"), "occurredAt")
        return DealFact(kind, f"{'/'.join(parts)}/{event['occurredAt']}", deal_id, time, data)

    def _created(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._linked_fact(event, EventType.CREATED, {})]

    def _linked_fact(self, event: dict[str, Any], kind: EventType, data: dict[str, Any]) -> DealFact:
        fact = self._fact(event, kind, data)
        data["url"] = self.settings.deal_url.format(portal=event["portalId"], deal=fact.deal)
        return fact

    def _deleted(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._fact(event, EventType.DELETED, {})]

    def _restored(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._fact(event, EventType.REOPENED, {})]

    def _merged(self, event: dict[str, Any]) -> list[Parsed]:
        """One fact per deal that was merged into another; the surviving deal may have a new id.

        Then that one continues in the stage of the primary deal, and HubSpot sends only its creation.
        """
        primary = id_of(event.get("primaryObjectId", event.get("objectId")), "primaryObjectId")
        into = id_of(event.get("newObjectId") or primary, "newObjectId")
        listed = event.get("mergedObjectIds")
        if not isinstance(listed, list) or not listed:
            raise InvalidField(f"mergedObjectIds: {quoted(listed)}; a list of deals is expected")
        merged = dict.fromkeys([*(id_of(one, "mergedObjectIds") for one in listed), primary])
        data: dict[str, Any] = {"into": f"{self.name}:{into}"}
        of_primary = data if into in merged else data | {"primary": True}
        return [
            self._fact(event, EventType.MERGED, of_primary if deal == primary else data, deal)
            for deal in merged
            if deal != into
        ]

    def _changed(self, event: dict[str, Any]) -> list[Parsed]:
        name, value = event.get("propertyName"), event.get("propertyValue")
        if not isinstance(name, str):
            raise InvalidField(f"propertyName: {quoted(name)}; the name of a property is expected")
        if name == "dealstage":
            if value in ("", None):
                # A deal whose stage was cleared stays in its last known stage.
                return [Ignored("no-stage")]
            return [self._linked_fact(event, EventType.MOVED, {"stage": id_of(value, "propertyValue of dealstage")})]
        if name not in _PROPERTIES:
            # The owner is a person: store nothing about them.
            return [Ignored("owner" if name == "hubspot_owner_id" else "other-property")]
        if value is not None and not isinstance(value, str):
            raise InvalidField(f"propertyValue of {name}: {quoted(value)}; HubSpot sends text")
        field, parse = _PROPERTIES[name]
        return [self._fact(event, EventType.CHANGED, {field: parse(value) if value else None})]


def _close_date(value: str) -> str:
    return time_of_ms(value, "propertyValue of closedate").date().isoformat()


def _next_step(value: str) -> str:
    return iso(time_of_ms(value, "propertyValue of notes_next_activity_date"))


_PROPERTIES: dict[str, tuple[str, Callable[[str], str]]] = {
    "pipeline": ("pipeline", lambda value: id_of(value, "propertyValue of pipeline")),
    "dealname": ("name", lambda value: text_of(value, "propertyValue of dealname")),
    "amount": ("amount", lambda value: amount_of(value, "propertyValue of amount")),
    "deal_currency_code": ("currency", lambda value: currency_of(value, "propertyValue of deal_currency_code")),
    "closedate": ("expected_close", _close_date),
    "notes_next_activity_date": ("next_step_at", _next_step),
}
_PARSERS: dict[str, Callable[[HubSpotWebhook, dict[str, Any]], list[Parsed]]] = {
    "creation": HubSpotWebhook._created,
    "deletion": HubSpotWebhook._deleted,
    "restore": HubSpotWebhook._restored,
    "merge": HubSpotWebhook._merged,
    "propertyChange": HubSpotWebhook._changed,
}
