"""CloudEvents 1.0 over HTTP: structured, binary and batch mode, carrying our own `deal.*` data.

Source: CloudEvents 1.0.2, HTTP protocol binding, JSON event format, "HTTP 1.1 Web Hooks for Event Delivery".
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from pydantic import Field

from shared.connectors.base.deal_events import SentEvent, parse_event
from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.fields import InvalidField, invalid_json, quoted
from shared.connectors.base.json_body import parse_json
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import matches_any
from shared.connectors.base.source import RefusalReason, Request, Source, Unauthenticated
from shared.contracts.envelope import compact

_BATCH, _STRUCTURED = "application/cloudevents-batch", "application/cloudevents"
_QUOTED = re.compile(r'^"(.*)"$', re.DOTALL)
_REQUIRED = ("id", "source", "specversion", "type")


class CloudEventsSettings(SourceSettings):
    """`secrets` are bearer tokens, sent as `Authorization: Bearer` or, if no header can be set, `?access_token=`."""

    allowed_rate: int = Field(6000, ge=1, description="requests per minute that the handshake allows")


class CloudEventsWebhook(Source):
    kind: ClassVar[str] = "cloudevents"
    setup_steps: ClassVar[str] = (
        "Let the sender POST CloudEvents 1.0 to this URL with Authorization: Bearer and the secret; "
        "docs/sources/deal-events.md has the data."
    )
    settings_type = CloudEventsSettings
    throttle_status: ClassVar[int] = 429
    max_parts: ClassVar[int] = 10_000
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
        if not matches_any([secret.encode() for secret in self.settings.secrets], [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, "the bearer token is not one of this source; compare it with `secrets`"
            )
        if _mode(request) == "binary" and "ce-specversion" not in request.headers:
            raise Unauthenticated(
                RefusalReason.UNKNOWN_FORM,
                f"content-type {request.headers.get('content-type', '')!r} without ce-specversion is not a CloudEvent;"
                f" send {_STRUCTURED}+json, {_BATCH}+json, or ce- headers",
                415,
            )

    def handshake(self, request: Request) -> dict[str, str] | None:
        """Abuse protection of the web hook specification: confirm that we want the events."""
        origin = request.headers.get("webhook-request-origin")
        if not origin:
            return None
        headers = {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": origin}
        rate = request.headers.get("webhook-request-rate")
        if rate is not None:
            requested = int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 9 else self.settings.allowed_rate
            headers["WebHook-Allowed-Rate"] = str(max(1, min(requested, self.settings.allowed_rate)))
        return headers

    def translate(self, request: Request) -> list[Parsed]:
        try:
            if _mode(request) == "binary":
                return [self._parse(_binary_event(request), request.body, partial(_binary_data, request.body))]
            document = parse_json(request.body)
        except InvalidField as error:
            return [invalid_json(request.body, error)]
        if _mode(request) == "structured":
            return [self._parse(document, request.body, partial(_data, document))]
        if not isinstance(document, list):
            return [Invalid(f"body: a batch is an array of events, found {type(document).__name__}", request.body)]
        if excess := self.excess(len(document), request):
            return [excess]
        return [self._parse(event, compact(event), partial(_data, event)) for event in document]

    def _parse(self, event: Any, raw: bytes, read_data: Callable[[], Any]) -> Parsed:
        try:
            return self._fact(event, read_data)
        except InvalidField as error:
            return Invalid(str(error), raw)

    def _fact(self, event: Any, read_data: Callable[[], Any]) -> Parsed:
        if not isinstance(event, dict):
            raise InvalidField(f"event: an object is expected, found {quoted(event)}")
        event = {name: value for name, value in event.items() if value is not None}
        for name in _REQUIRED:
            if not isinstance(event.get(name), str) or not event[name]:
                raise InvalidField(f"{name}: {quoted(event.get(name))}; CloudEvents requires a text here")
        if event["specversion"] != "1.0":
            raise InvalidField(f"specversion: {quoted(event['specversion'])} is not supported; send 1.0")
        subject = event.get("subject")
        if subject is not None and not isinstance(subject, str):
            raise InvalidField(f"subject: {quoted(subject)}; a text is expected")
        sent = SentEvent(event["type"], self._event_id(event), event.get("time"), "time", read_data, subject)
        return parse_event(self.name, sent)

    def _event_id(self, event: dict[str, Any]) -> str:
        """(source, id) identifies an event; events of a source with our name keep their ids."""
        if event["source"] == self.name:
            return str(event["id"])
        both = f"{len(event['source'])}:{event['source']}{event['id']}"
        return hashlib.sha256(both.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _mode(request: Request) -> str:
    """The content mode, by the media type; `ce-` headers alone do not make a binary event."""
    media = request.headers.get("content-type", "").lower()
    if media.startswith(_BATCH):
        return "batch"
    return "structured" if media.startswith(_STRUCTURED) else "binary"


def _binary_event(request: Request) -> dict[str, Any]:
    return {name[3:]: _decode_header(name, value) for name, value in request.headers.items() if name.startswith("ce-")}


def _binary_data(body: bytes) -> Any:
    return parse_json(body) if body else {}


def _decode_header(name: str, value: str) -> str:
    """Percent-encoded UTF-8, also in the older form in quotes."""
    match = _QUOTED.match(value)
    text = re.sub(r"\\(.)", r"\1", match[1]) if match else value
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise InvalidField(f"header {name}: {quoted(value)} is not UTF-8; send it percent-encoded") from None


def _data(event: dict[str, Any]) -> Any:
    data, encoded = event.get("data"), event.get("data_base64")
    if encoded is None:
        return {} if data is None else data
    if data is not None:
        raise InvalidField("data_base64: came together with data; send one of them")
    try:
        return parse_json(b64decode(encoded, validate=True))
    except (ValueError, TypeError):
        raise InvalidField("data_base64: is not base64 of JSON; send deal data as JSON") from None
