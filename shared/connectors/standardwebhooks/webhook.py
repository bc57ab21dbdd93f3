"""Standard Webhooks with signatures v1 (symmetric) and v1a (ed25519), carrying our own `deal.*` data.

Svix's headers start with `svix-` in place of `webhook-`.
Source: the Standard Webhooks specification.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, field_validator

from shared.connectors.base.deal_events import parse_event
from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.fields import InvalidField, invalid_json, parse_json, quoted, time_of
from shared.connectors.base.settings import SourceSettings, resolve_secret
from shared.connectors.base.signatures import check_age, decode_base64, matches_any, required_header, signed_time
from shared.connectors.base.source import RefusalReason, Request, Source, Unauthenticated

PREFIX, PUBLIC = "whsec_", "whpk_"


class StandardWebhooksSettings(SourceSettings):
    """`secrets` are `whsec_` and base64 of 24 to 64 random bytes, or `whpk_` and base64 of an ed25519 public key."""

    secrets: list[str] = Field(
        min_length=1, description="whsec_... or whpk_..., the current one and, during a rotation, the previous one"
    )

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        secrets = [resolve_secret(one) for one in written]
        for secret in secrets:
            key = (
                decode_base64(secret[len(PREFIX) :] if secret.startswith(PREFIX) else secret.removeprefix(PUBLIC))
                or b""
            )
            symmetric = secret.startswith(PREFIX) and 24 <= len(key) <= 64
            if not symmetric and not (secret.startswith(PUBLIC) and len(key) == 32):
                raise ValueError(
                    "a secret is whsec_ and base64 of 24 to 64 bytes, or whpk_ and base64 of 32; copy it whole"
                )
        return secrets


class StandardWebhooksWebhook(Source):
    kind: ClassVar[str] = "standardwebhooks"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "secrets": "The sender shows its secret (whsec_...) or public key (whpk_...) in the endpoint's settings.",
    }
    setup_prompt: ClassVar[str] = "secret of the sender (whsec_... or whpk_...)"
    setup_steps: ClassVar[str] = (
        "Let the sender POST to this URL, signed as Standard Webhooks with the secret; docs/sources/deal-"
        "events.md has the data."
    )
    settings_type = StandardWebhooksSettings
    throttle_status: ClassVar[int] = 429

    def __init__(self, name: str, settings: StandardWebhooksSettings) -> None:
        super().__init__(name, settings)
        self._keys = [decode_base64(s.removeprefix(PREFIX)) or b"" for s in settings.secrets if s.startswith(PREFIX)]
        self._public = [
            Ed25519PublicKey.from_public_bytes(decode_base64(s.removeprefix(PUBLIC)) or b"")
            for s in settings.secrets
            if s.startswith(PUBLIC)
        ]

    def verify(self, request: Request) -> None:
        """One matching signature of the list is enough; entries of unknown versions are skipped."""
        prefix = "svix-" if "webhook-id" not in request.headers and "svix-id" in request.headers else "webhook-"
        event_id, stamp = (required_header(request.headers, prefix + name) for name in ("id", "timestamp"))
        entries = required_header(request.headers, prefix + "signature").split(" ")
        given = [entry[3:].encode() for entry in entries if entry.startswith("v1,")]
        if any(entry.endswith(",") for entry in entries):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {prefix}signature came twice; send one, with its entries separated by spaces",
            )
        signed = f"{event_id}.{stamp}.".encode() + request.body
        expected = [b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        if not matches_any(expected, given) and not self._matches_public_key(entries, signed):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"header {prefix}signature has no matching v1 or v1a entry; compare the secret with `secrets`",
            )
        sent = signed_time(prefix + "timestamp", stamp, timedelta(seconds=1))
        check_age(sent, request.received_at, prefix + "timestamp")

    def _matches_public_key(self, entries: list[str], signed: bytes) -> bool:
        given = [decode_base64(entry[4:]) for entry in entries if entry.startswith("v1a,")]
        for key in self._public:
            for signature in filter(None, given):
                with suppress(InvalidSignature):
                    key.verify(signature, signed)
                    return True
        return False

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = parse_json(request.body)
        except InvalidField as error:
            return [invalid_json(request.body, error)]
        try:
            return [self._parse(document, request)]
        except InvalidField as error:
            return [Invalid(str(error), request.body)]

    def _parse(self, document: Any, request: Request) -> Parsed:
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            raise InvalidField("type: is missing; send an object with type, timestamp and data")
        time = time_of(document.get("timestamp"), "timestamp")
        event_id = request.headers.get("webhook-id") or request.headers["svix-id"]
        if "\x00" in event_id:
            raise InvalidField(f"webhook-id: {quoted(event_id)} holds a NUL character")
        return parse_event(self.name, document["type"], event_id, time, document.get("data"))
