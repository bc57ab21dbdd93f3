"""Which answers `andon source add` accepts: each check returns the reason why it does not, or None."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from shared.connectors.base.source import Source
from shared.connectors.config import NAME
from shared.runtime.addresses import LOOPBACK
from shared.runtime.validation import error_text

_WHOLE = "write it whole, like https://hooks.example.org"
_REFERENCE = re.compile(r"^(env|file):")


def name_fault(name: str, existing: Collection[str], file: object) -> str | None:
    """Of the name of a new source."""
    if not NAME.match(name):
        return f"{name}: a name is 1 to 60 lower-case letters, digits and dashes, like hubspot-eu"
    if name in existing:
        return f"{name}: is in {file} already; choose another name, or edit the file"
    return None


def kind_fault(kind: str, known: Collection[str]) -> str | None:
    """Of the kind of CRM, in lower case."""
    if kind in known:
        return None
    near = get_close_matches(kind, known, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(known))}"
    return f"{kind}: is no kind of source; {hint}"


def address_fault(address: str) -> str | None:
    """Of the address under which a CRM reaches intake."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{address}: is not an address; {_WHOLE}"
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", address):
        return f"{address}: is not an address with https://; {_WHOLE}"
    if parts.scheme == "http" and host not in LOOPBACK:
        return f"{address}: http:// would send secrets and deals unencrypted, and most CRMs refuse it; {_WHOLE}"
    if parts.query or parts.fragment or "/v1/ingest" in parts.path:
        return f"{address}: leave out everything behind the host; {_WHOLE}"
    return None


def field_fault(kind: type[Source], field: str, answer: str) -> str | None:
    """Of a field in the sources file."""
    return _settings_fault(kind, field, answer, f"{answer}: ")


def secret_fault(kind: type[Source], secret: str) -> str | None:
    """Of a secret. Never shows it."""
    if _REFERENCE.match(secret):
        return "enter the secret itself: it is kept in a file of its own"
    return _settings_fault(kind, "secrets", [secret], "")


def webhook_fault(webhooks: Mapping[str, Any], webhook_id: str) -> str | None:
    """Of the id of one of several webhooks, beside those entered before."""
    if webhook_id in webhooks:
        event = webhooks[webhook_id]["event"]
        return f"{webhook_id}: is the id of the webhook for {event}; each event has a webhook of its own"
    return None


def webhook_secret_fault(kind: type[Source], event: str, secret: str) -> str | None:
    """Of the secret key of one webhook. Never shows it."""
    if _REFERENCE.match(secret):
        return "enter the secret itself: it is kept in a file of its own"
    return _settings_fault(kind, "webhooks", {"id": {"event": event, "secrets": [secret]}}, "")


def _settings_fault(kind: type[Source], field: str, value: Any, shown: str) -> str | None:
    """What the settings of this kind say of one field, without the others."""
    try:
        kind.settings_type.model_validate({"kind": kind.kind, field: value})
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            if fault["loc"][0] == field:
                return shown + _reason(kind, field, dict(fault))
    return None


def _reason(kind: type[Source], field: str, fault: dict[str, Any]) -> str:
    """Our own words where a validator of ours gave them, else what the field is."""
    if fault["type"] == "value_error":
        return error_text(fault)
    return f"is not accepted; expected is the {kind.settings_type.model_fields[field].description}"
