"""Webhooks signed as Standard Webhooks asks for, version v1.

Source: the Standard Webhooks specification.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from datetime import datetime
from typing import ClassVar

from pydantic import Field, field_validator

from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.message import HookEvent
from services.notifier.hooks.receivers.base import JSON, HookSettings, Receiver
from shared.connectors.base.settings import resolve_secret
from shared.connectors.base.signatures import decode_base64

PREFIX = "whsec_"


class SignedHookSettings(HookSettings):
    """A receiver that checks signatures."""

    secrets: list[str] = Field(
        min_length=1,
        repr=False,
        description="whsec_ and base64 of 24 to 64 random bytes: the current one and, during a rotation, the previous"
        " one; use env:NAME or file:PATH",
    )

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        secrets = [resolve_secret(one) for one in written]
        for secret in secrets:
            if not (secret.startswith(PREFIX) and 24 <= len(_key(secret)) <= 64):
                raise ValueError("a secret is whsec_ and base64 of 24 to 64 bytes; make one with a random generator")
        return secrets


def _key(secret: str) -> bytes:
    return decode_base64(secret.removeprefix(PREFIX)) or b""


class SignedReceiver(Receiver[SignedHookSettings, HookEvent]):
    """Gets the message itself."""

    kind: ClassVar[str] = "webhook"
    settings_type = SignedHookSettings

    def request(self, message_id: str, event: HookEvent, now: datetime) -> HookRequest:
        body, stamp = event.model_dump_json().encode(), str(int(now.timestamp()))
        signed = f"{message_id}.{stamp}.".encode() + body
        headers = {
            **JSON,
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in self.settings.secrets),
        }
        return HookRequest(headers, body)


def _sign(secret: str, signed: bytes) -> str:
    return b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
