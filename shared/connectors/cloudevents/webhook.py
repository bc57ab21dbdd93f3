"""CloudEventsWebhook 1.0 over HTTP: structured, binary and batch, carrying our own `deal.*` data.

Source: CloudEventsWebhook 1.0.2, HTTP protocol binding, JSON event format, "HTTP 1.1 Web Hooks for Event Delivery".
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from pydantic import Field

from shared.connectors.base.deal_form import told
from shared.connectors.base.source import (
    Invalid,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    Source,
    SourceSettings,
    Unauthenticated,
    fits,
    json_of,
    moment_of_text,
    raw,
    shown,
    unreadable,
)

_BATCH, _STRUCTURED = "application/cloudevents-batch", "application/cloudevents"
_QUOTED = re.compile(r'^"(.*)"$', re.DOTALL)
_NEEDED = ("id", "source", "specversion", "type")


class CloudEventsSettings(SourceSettings):
    """`secrets` are bearer tokens, sent as `Authorization: Bearer` or, where no header can be, as `?access_token=`."""

    allowed_rate: int = Field(6000, ge=1, description="requests a minute that the handshake allows")


class CloudEventsWebhook(Source):
    kind: ClassVar[str] = "cloudevents"
    clicks: ClassVar[str] = (
        "Let the sender POST CloudEventsWebhook 1.0 to this URL with Authorization: Bearer and the secret; "
        "docs/sources/deal-events.md has the data."
    )
    settings_type = CloudEventsSettings
    slow_down: ClassVar[int] = 429
    settings: CloudEventsSettings

    def verify(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.query.get("access_token", "")
        if not token:
            raise Unauthenticated(
                RefusalReason.NO_SIGNATURE, "header authorization is missing; send Authorization: Bearer and the token"
            )
        given = token.strip().encode()
        if not fits([secret.encode() for secret in self.settings.secrets], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, "the bearer token is not one of this source; compare it with `secrets`"
            )
        form = _form(request)
        if form == "binary" and "ce-specversion" not in request.headers:
            raise Unauthenticated(
                RefusalReason.UNKNOWN_FORM,
                f"content-type {request.headers.get('content-type', '')!r} without ce-specversion is no CloudEvent;"
                f" send {_STRUCTURED}+json, {_BATCH}+json, or ce- headers",
                415,
            )

    def handshake(self, request: Request) -> dict[str, str] | None:
        """The abuse protection of the web hook specification: say that we want what will be sent."""
        origin = request.headers.get("webhook-request-origin")
        if not origin:
            return None
        answer = {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": origin}
        rate = request.headers.get("webhook-request-rate")
        if rate is not None:
            asked = int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 9 else self.settings.allowed_rate
            answer["WebHook-Allowed-Rate"] = str(max(1, min(asked, self.settings.allowed_rate)))
        return answer

    def translate(self, request: Request) -> list[Parsed]:
        try:
            if _form(request) == "binary":
                return [self._one(_binary(request), request.body)]
            document = json_of(request.body)
        except InvalidField as error:
            return [unreadable(request.body, error)]
        if _form(request) == "structured":
            return [self._one(document, request.body)]
        if not isinstance(document, list):
            return [Invalid(f"body: a batch is an array of events, found {type(document).__name__}", request.body)]
        return [self._one(event, raw(event)) for event in document]

    def _one(self, event: Any, part: bytes) -> Parsed:
        try:
            return self._told(event)
        except InvalidField as error:
            return Invalid(str(error), part)

    def _told(self, event: Any) -> Parsed:
        if not isinstance(event, dict):
            raise InvalidField(f"event: an object is expected, found {shown(event)}")
        event = {name: value for name, value in event.items() if value is not None}
        for name in _NEEDED:
            if not isinstance(event.get(name), str) or not event[name]:
                raise InvalidField(f"{name}: {shown(event.get(name))}; CloudEventsWebhook wants a text here")
        if event["specversion"] != "1.0":
            raise InvalidField(f"specversion: {shown(event['specversion'])}; 1.0 is understood")
        subject = event.get("subject")
        if subject is not None and not isinstance(subject, str):
            raise InvalidField(f"subject: {shown(subject)}; a text is expected")
        time = moment_of_text(event.get("time"), "time")
        return told(self.name, event["type"], self._id(event), time, _data(event), subject)

    def _id(self, event: dict[str, Any]) -> str:
        """(source, id) is the identity; events of our own source keep their ids."""
        if event["source"] == self.name:
            return str(event["id"])
        both = f"{len(event['source'])}:{event['source']}{event['id']}"
        return hashlib.sha256(both.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _form(request: Request) -> str:
    """By the media type; `ce-` headers alone do not make a binary event."""
    media = request.headers.get("content-type", "").lower()
    if media.startswith(_BATCH):
        return "batch"
    return "structured" if media.startswith(_STRUCTURED) else "binary"


def _binary(request: Request) -> dict[str, Any]:
    event: dict[str, Any] = {
        name[3:]: _header(name, value) for name, value in request.headers.items() if name.startswith("ce-")
    }
    event["data"] = json_of(request.body) if request.body else {}
    return event


def _header(name: str, value: str) -> str:
    """Percent-encoded UTF-8, also in the older form with quotes."""
    quoted = _QUOTED.match(value)
    text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise InvalidField(f"header {name}: {shown(value)} is no UTF-8; send it percent-encoded") from None


def _data(event: dict[str, Any]) -> Any:
    if "data_base64" not in event:
        return event.get("data", {})
    if "data" in event:
        raise InvalidField("data_base64: stands beside data; send one of them")
    try:
        return json_of(b64decode(event["data_base64"], validate=True))
    except (ValueError, TypeError):
        raise InvalidField("data_base64: does not hold base64 of JSON; send deal data as JSON") from None
