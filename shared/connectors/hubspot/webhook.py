"""HubSpot: app webhooks, arrays of events, one property each; signature v3, and v1 only where it is asked for.

Source: HubSpot's guides "Webhooks API" and "Validating requests"; docs/sources/hubspot.md says what to click.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from shared.connectors.base.api_settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.source import (
    MIB,
    DealFact,
    Ignored,
    Invalid,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    Source,
    Unauthenticated,
    amount_of,
    check_age,
    currency_of,
    fits,
    id_of,
    json_of,
    moment_of_ms,
    raw,
    shown,
    single,
    stamp_of,
    text_of,
    unreadable,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

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


class HubSpotApiSettings(ApiSettings):
    """`token`: access token of a private app with the scope crm.objects.deals.read."""

    url: str = Field(
        "https://api.hubapi.com", pattern=r"^https?://[^\s/?#]+$", description="address of the API, without a path"
    )


class HubSpotSettings(ApiSourceSettings):
    """`secrets` are the app's client secrets."""

    public_url: str = Field(
        pattern=r"^https?://[^\s#]+$",
        description="the address that HubSpot posts to, as written in the app: it is part of what is signed",
    )
    portal: int | None = Field(None, description="take events of this HubSpot account only")
    deal_url: str = Field(
        "https://app.hubspot.com/contacts/{portal}/record/0-3/{deal}",
        description="link of a deal; {portal} and {deal} are filled in",
    )
    allow_v1: bool = Field(
        False, description="take requests signed by version 1 alone: they can be sent again by others"
    )
    allow_v2: bool = Field(False, description="take requests signed by version 2 alone: they can be sent again, too")
    max_bytes: int = Field(8 * MIB, ge=1024, le=64 * MIB, description="the largest body that is taken")

    api: HubSpotApiSettings | None = Field(None, description="the API, for the enricher; without it nothing is asked")

    @field_validator("deal_url")
    @classmethod
    def _fills(cls, written: str) -> str:
        try:
            written.format(portal=1, deal=1)
        except (KeyError, IndexError, ValueError):
            raise ValueError("only {portal} and {deal} can be filled in") from None
        return written


class HubSpotWebhook(Source):
    kind: ClassVar[str] = "hubspot"
    clicks: ClassVar[str] = (
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
        """Version 3; a wrong version 3 is never mended by a right version 1."""
        if V3 not in request.headers and (self.settings.allow_v1 or self.settings.allow_v2):
            return self._verify_older(request)
        given, stamp = single(request.headers, V3).encode(), single(request.headers, STAMP)
        signed = self._signed_head + request.body + stamp.encode()
        if not fits([b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {V3} does not fit: compare the app's client secret with `secrets`, and the app's target URL"
                f" with public_url {self.settings.public_url}",
            )
        check_age(stamp_of(STAMP, stamp, timedelta(milliseconds=1)), request.received_at, STAMP)
        return None

    def _verify_older(self, request: Request) -> None:
        """Versions 1 and 2 are plain hashes that begin with the secret; 2 holds method and address."""
        given, version = single(request.headers, V1).encode(), request.headers.get(VERSION, "v1")
        allowed = {"v1": self.settings.allow_v1, "v2": self.settings.allow_v2}
        signed = (self._signed_head if version == "v2" else b"") + request.body
        right = [hashlib.sha256(key + signed).hexdigest().encode() for key in self._keys]
        if not allowed.get(version, False) or not fits(right, [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {V1} does not fit as version {version[:10]}, or that version is not allowed: compare the app's"
                " client secret with `secrets`, and see allow_v1 and allow_v2",
            )

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = json_of(request.body)
        except InvalidField as error:
            return [unreadable(request.body, error)]
        if not isinstance(document, list):
            return [Invalid(f"body: an array of events is expected, found {type(document).__name__}", request.body)]
        said: list[Parsed] = []
        for event in document:
            try:
                said += self._events(event)
            except InvalidField as error:
                said.append(Invalid(str(error), raw(event)))
        return said

    def _events(self, event: Any) -> list[Parsed]:
        if not isinstance(event, dict):
            raise InvalidField(f"event: an object is expected, found {shown(event)}")
        subscription = event.get("subscriptionType", event.get("eventType"))
        about, _, what = subscription.partition(".") if isinstance(subscription, str) else ("", "", "")
        if not what:
            raise InvalidField(f"subscriptionType: {shown(subscription)}; as deal.creation is expected")
        if about != "deal" and not (about == "object" and event.get("objectTypeId") == DEAL):
            return [Ignored("not-a-deal")]
        translate = _WHAT.get(what)
        if translate is None:
            return [Ignored(what if what == "associationChange" else "other-subscription")]
        if self.settings.portal is not None and event.get("portalId") != self.settings.portal:
            raise InvalidField(
                f"portalId: {shown(event.get('portalId'))} is not the account {self.settings.portal} of this source"
            )
        return translate(self, event)

    def _told(self, event: dict[str, Any], kind: EventType, data: dict[str, Any], deal: Any = None) -> DealFact:
        number = id_of(event.get("objectId") if deal is None else deal, "objectId")
        subscription = str(event.get("subscriptionType", event.get("eventType")))
        parts = (
            id_of(event.get("portalId"), "portalId"),
            subscription,
            number,
            str(event.get("propertyName") or ""),
            id_of(event.get("eventId"), "eventId"),
        )
        time = moment_of_ms(event.get("occurredAt"), "occurredAt")
        return DealFact(kind, f"{'/'.join(parts)}/{event['occurredAt']}", number, time, data)

    def _created(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._linked(event, EventType.CREATED, {})]

    def _linked(self, event: dict[str, Any], kind: EventType, data: dict[str, Any]) -> DealFact:
        told = self._told(event, kind, data)
        data["url"] = self.settings.deal_url.format(portal=event["portalId"], deal=told.deal)
        return told

    def _deleted(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._told(event, EventType.DELETED, {})]

    def _restored(self, event: dict[str, Any]) -> list[Parsed]:
        return [self._told(event, EventType.REOPENED, {})]

    def _merged(self, event: dict[str, Any]) -> list[Parsed]:
        """Every deal that went into another; the one that lives on may have got a new id."""
        primary = event.get("primaryObjectId", event.get("objectId"))
        into = id_of(event.get("newObjectId") or primary, "newObjectId")
        gone = event.get("mergedObjectIds")
        if not isinstance(gone, list) or not gone:
            raise InvalidField(f"mergedObjectIds: {shown(gone)}; a list of deals is expected")
        merged = dict.fromkeys(id_of(one, "mergedObjectIds") for one in [*gone, primary])
        into_deal = {"into": f"{self.name}:{into}"}
        return [self._told(event, EventType.MERGED, into_deal, one) for one in merged if one != into]

    def _changed(self, event: dict[str, Any]) -> list[Parsed]:
        name, value = event.get("propertyName"), event.get("propertyValue")
        if not isinstance(name, str):
            raise InvalidField(f"propertyName: {shown(name)}; the name of a property is expected")
        if name == "dealstage":
            return [self._linked(event, EventType.MOVED, {"stage": id_of(value, "propertyValue of dealstage")})]
        if name not in _PROPERTIES:
            # The owner is a person: nothing is kept of it.
            return [Ignored("owner" if name == "hubspot_owner_id" else "other-property")]
        if value is not None and not isinstance(value, str):
            raise InvalidField(f"propertyValue of {name}: {shown(value)}; HubSpot sends text")
        field, read = _PROPERTIES[name]
        return [self._told(event, EventType.CHANGED, {field: read(value) if value else None})]


def _day(value: str) -> str:
    return moment_of_ms(value, "propertyValue of closedate").date().isoformat()


def _instant(value: str) -> str:
    return iso(moment_of_ms(value, "propertyValue of notes_next_activity_date"))


_PROPERTIES: dict[str, tuple[str, Callable[[str], str]]] = {
    "pipeline": ("pipeline", lambda value: id_of(value, "propertyValue of pipeline")),
    "dealname": ("name", lambda value: text_of(value, "propertyValue of dealname")),
    "amount": ("amount", lambda value: amount_of(value, "propertyValue of amount")),
    "deal_currency_code": ("currency", lambda value: currency_of(value, "propertyValue of deal_currency_code")),
    "closedate": ("expected_close", _day),
    "notes_next_activity_date": ("next_step_at", _instant),
}
_WHAT: dict[str, Callable[[HubSpotWebhook, dict[str, Any]], list[Parsed]]] = {
    "creation": HubSpotWebhook._created,
    "deletion": HubSpotWebhook._deleted,
    "restore": HubSpotWebhook._restored,
    "merge": HubSpotWebhook._merged,
    "propertyChange": HubSpotWebhook._changed,
}
