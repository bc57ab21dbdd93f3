"""The canary's source, which no sources file names, and its webhooks: Standard Webhooks with our own events."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from shared.connectors.base.source import Source
from shared.connectors.standardwebhooks.webhook import PREFIX, StandardWebhooksSettings, StandardWebhooksWebhook
from shared.contracts.canary import CANARY, CANARY_DEAL, CANARY_STAGE
from shared.contracts.envelope import iso
from shared.contracts.events import EventType


class CanaryWebhook(NamedTuple):
    """One signed request. `id`: of its event."""

    id: str
    body: bytes
    headers: Mapping[str, str]


def canary_source(secret: str) -> dict[str, Source]:
    """The source by its name; none without a secret."""
    if not secret:
        return {}
    settings = StandardWebhooksSettings(
        kind=StandardWebhooksWebhook.kind, secrets=[PREFIX + b64encode(_key(secret)).decode()]
    )
    return {CANARY: StandardWebhooksWebhook(CANARY, settings)}


def webhook(secret: str, run: str, kind: EventType, at: datetime, now: datetime) -> CanaryWebhook:
    """An event of the canary's deal at an instant, signed `now`. `run`: begins the ids of the events of one run."""
    name = f"{run}-{kind.value.rpartition('.')[2]}"
    data = {"id": CANARY_DEAL, "pipeline": CANARY, "stage": CANARY_STAGE, "name": "Canary"}
    where = data if kind is EventType.MOVED else {"id": CANARY_DEAL}
    body = json.dumps({"type": kind.value, "timestamp": iso(at), "data": where}).encode()
    stamp = str(int(now.timestamp()))
    signature = hmac.digest(_key(secret), f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + b64encode(signature).decode(),
    }
    return CanaryWebhook(name, body, headers)


def _key(secret: str) -> bytes:
    """A key of the length that Standard Webhooks asks for, whatever the secret looks like."""
    return hashlib.sha256(secret.encode()).digest()
