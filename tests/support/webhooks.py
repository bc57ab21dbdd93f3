"""Requests as senders make them, and sources as an operator sets them up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.connectors.base.source import Request, Source
from shared.connectors.config import parse

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "webhooks"
HUBSPOT = json.loads((SAMPLES / "hubspot-signature-vectors.json").read_text())
STANDARD = json.loads((SAMPLES / "standardwebhooks-signature-vectors.json").read_text())
SECRET, URL = HUBSPOT["client_secret"], HUBSPOT["vectors"][0]["uri"]
NOW = datetime.fromtimestamp(HUBSPOT["now_ms_for_test"] / 1000, UTC)
SAMPLES_RECEIVED_AT = datetime.fromtimestamp(1773133202.5, UTC)
TOKEN = "a-token-that-is-long-enough"


def source(kind: str, name: str = "acme", **settings: Any) -> Source:
    """A source of a kind, from a sources file."""
    defaults: dict[str, Any] = {
        "hubspot": {"secrets": [SECRET], "public_url": URL},
        "cloudevents": {"secrets": [TOKEN]},
        "standardwebhooks": {"secrets": [STANDARD["secret"]]},
    }[kind]
    return parse(json.dumps({"sources": {name: {"kind": kind, **defaults, **settings}}}))[name]


def request(
    body: bytes,
    headers: Mapping[str, str],
    now: datetime = NOW,
    query: str = "",
    method: str = "POST",
) -> Request:
    return Request(method, {name.lower(): value for name, value in headers.items()}, query, body, now)


def signed_v3(body: bytes, secret: str = SECRET, stamp: str = "1773133201500", url: str = URL) -> dict[str, str]:
    """HubSpot's headers for a body."""
    text = f"POST{url}".encode() + body + stamp.encode()
    signature = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()
    return {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": signature}


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()
