"""The interface of a source: one CRM connection that verifies and translates webhook requests."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qsl

from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.settings import SourceSettings
from shared.contracts.dead import DeadReason


class Request(NamedTuple):
    """One HTTP request. Header names are in lower case; the query string is not decoded."""

    method: str
    headers: Mapping[str, str]
    query_string: str
    body: bytes
    received_at: datetime

    @property
    def query(self) -> Mapping[str, str]:
        """The decoded query parameters; the last one wins if a name repeats."""
        return _parse_query(self.query_string)


@lru_cache(256)
def _parse_query(query_string: str) -> Mapping[str, str]:
    """Cached because a source sends the same query with every request."""
    return MappingProxyType(dict(parse_qsl(query_string, keep_blank_values=True)))


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusalReason(StrEnum):
    """Why a request was refused: a label of metrics and logs."""

    NO_SIGNATURE = "no-signature"
    WRONG_SIGNATURE = "wrong-signature"
    OLD_TIMESTAMP = "old-timestamp"
    BAD_TIMESTAMP = "bad-timestamp"
    UNKNOWN_FORM = "unknown-form"


class Unauthenticated(Exception):
    """The request cannot be shown to be genuine, or has no form that this source accepts."""

    def __init__(self, reason: RefusalReason, detail: str, status: int = 401) -> None:
        super().__init__(detail)
        self.reason, self.status = reason, status


class Source(ABC):
    """One connection to a CRM. A kind defines its name, its settings and two steps: verify and translate."""

    kind: ClassVar[str] = ""
    # What to set up in the CRM; `andon source add` prints it.
    setup_steps: ClassVar[str] = ""
    # True if the secret is the query parameter `key` of the webhook URL.
    key_in_url: ClassVar[bool] = False
    # How `andon source add` asks for a secret that the CRM or the sender chose; empty: it takes `new_secret`.
    setup_prompt: ClassVar[str] = ""
    # Where to find what `andon source add` asks for, by field; every field that it asks for has an entry.
    where_to_find: ClassVar[Mapping[str, str]] = {}
    # True if `andon source add` prints the secret, because it must be entered in the CRM.
    prints_secret: ClassVar[bool] = True
    # Events that each need a webhook with its own id and secret; empty: one webhook for all.
    webhook_events: ClassVar[tuple[str, ...]] = ()
    # The response after everything was accepted; None: 202.
    success_reply: ClassVar[Reply | None] = None
    # The status that makes this CRM retry later; every CRM that retries honours 503.
    throttle_status: ClassVar[int] = 503
    # Limit of parts in one body, several times what this kind of sender puts into one.
    max_parts: ClassVar[int] = 1000
    settings_type: ClassVar[type[SourceSettings]] = SourceSettings

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name, self.settings = name, settings

    @classmethod
    def new_secret(cls) -> str:
        """A random secret in the form that the CRM takes."""
        # 43 characters; Zoho takes at most 50.
        return secrets.token_urlsafe(32)

    @abstractmethod
    def verify(self, request: Request) -> None:
        """Raise Unauthenticated unless the sender knows a secret of this source."""

    @abstractmethod
    def translate(self, request: Request) -> list[Parsed]:
        """Parse a genuine request into facts, in the order of its body. Never raises, whatever the body is."""

    def excess(self, parts: int, request: Request) -> Invalid | None:
        """The dead letter of a body with more than `max_parts` parts; None otherwise."""
        if parts <= self.max_parts:
            return None
        detail = f"body: {parts} parts, more than {self.max_parts}; send it in several requests"
        return Invalid(detail, self.archived_body(request), DeadReason.TOO_LARGE)

    def challenge(self, request: Request) -> Reply | None:
        """The answer to a set-up challenge, which some CRMs send before we can verify anything."""
        return None

    def archived_body(self, request: Request) -> bytes:
        """The body to store, without secrets that the CRM writes into it."""
        return request.body

    def handshake(self, request: Request) -> dict[str, str] | None:
        """Response headers for an OPTIONS request; None if the kind has no handshake."""
        return None
