"""Standard Webhooks, signatures v1 (symmetric) and v1a (ed25519), carrying our own `deal.*` data.

Svix spells its headers `svix-`.
Source: the Standard Webhooks specification.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, field_validator

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
    check_age,
    fits,
    json_of,
    moment_of_text,
    resolve,
    shown,
    single,
    stamp_of,
    unbase64,
    unreadable,
)

PREFIX, PUBLIC = "whsec_", "whpk_"


class StandardWebhooksSettings(SourceSettings):
    """`secrets` are `whsec_` and base64 of 24 to 64 random bytes, or `whpk_` and base64 of an ed25519 public key."""

    secrets: list[str] = Field(
        min_length=1, description="whsec_... or whpk_..., the present one and during a rotation the one before"
    )

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        secrets = [resolve(one) for one in written]
        for secret in secrets:
            key = unbase64(secret[len(PREFIX) :] if secret.startswith(PREFIX) else secret.removeprefix(PUBLIC)) or b""
            symmetric = secret.startswith(PREFIX) and 24 <= len(key) <= 64
            if not symmetric and not (secret.startswith(PUBLIC) and len(key) == 32):
                raise ValueError(
                    "a secret is whsec_ and base64 of 24 to 64 bytes, or whpk_ and base64 of 32; copy it whole"
                )
        return secrets


class StandardWebhooksWebhook(Source):
    kind: ClassVar[str] = "standardwebhooks"
    clicks: ClassVar[str] = (
        "Let the sender POST to this URL, signed as Standard Webhooks with the secret; docs/sources/deal-"
        "events.md has the data."
    )
    settings_type = StandardWebhooksSettings
    slow_down: ClassVar[int] = 429

    def __init__(self, name: str, settings: StandardWebhooksSettings) -> None:
        super().__init__(name, settings)
        self._keys = [unbase64(s.removeprefix(PREFIX)) or b"" for s in settings.secrets if s.startswith(PREFIX)]
        self._public = [
            Ed25519PublicKey.from_public_bytes(unbase64(s.removeprefix(PUBLIC)) or b"")
            for s in settings.secrets
            if s.startswith(PUBLIC)
        ]

    def verify(self, request: Request) -> None:
        """Any one fitting entry of the list will do; entries of other versions are passed over."""
        spelling = "svix-" if "webhook-id" not in request.headers and "svix-id" in request.headers else "webhook-"
        number, stamp = single(request.headers, spelling + "id"), single(request.headers, spelling + "timestamp")
        entries = single(request.headers, spelling + "signature").split(" ")
        given = [entry[3:].encode() for entry in entries if entry.startswith("v1,")]
        if any(entry.endswith(",") for entry in entries):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {spelling}signature came twice; send one, entries apart by spaces",
            )
        signed = f"{number}.{stamp}.".encode() + request.body
        right = [b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        if not fits(right, given) and not self._fits_public(entries, signed):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {spelling}signature has no v1 or v1a entry that fits; compare the secret with `secrets`",
            )
        check_age(
            stamp_of(spelling + "timestamp", stamp, timedelta(seconds=1)), request.received_at, spelling + "timestamp"
        )

    def _fits_public(self, entries: list[str], signed: bytes) -> bool:
        given = [unbase64(entry[4:]) for entry in entries if entry.startswith("v1a,")]
        for key in self._public:
            for signature in filter(None, given):
                with suppress(InvalidSignature):
                    key.verify(signature, signed)
                    return True
        return False

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = json_of(request.body)
        except InvalidField as error:
            return [unreadable(request.body, error)]
        try:
            return [self._told(document, request)]
        except InvalidField as error:
            return [Invalid(str(error), request.body)]

    def _told(self, document: Any, request: Request) -> Parsed:
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            raise InvalidField("type: is missing; send an object with type, timestamp and data")
        time = moment_of_text(document.get("timestamp"), "timestamp")
        number = request.headers.get("webhook-id") or request.headers["svix-id"]
        if "\x00" in number:
            raise InvalidField(f"webhook-id: {shown(number)} holds a NUL character")
        return told(self.name, document["type"], number, time, document.get("data"))
