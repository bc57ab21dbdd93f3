"""What every kind of source has in common: a request, what it may say, and how it is refused."""

from __future__ import annotations

import base64
import hmac
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.contracts.dead import DeadReason
from shared.contracts.envelope import compact
from shared.contracts.events import EventType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What Decimal would give back as it is.
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,28})(?:\.[0-9]{1,12})?")
# As fine as an amount is kept, and room for the largest that is as fine.
_FINEST, _WIDE = Decimal("1e-12"), Context(prec=60)
WINDOW = timedelta(minutes=5)
MIB = 1024 * 1024
# Levels of arrays and objects in a document.
DEEPEST = 254


class SourceSettings(BaseModel):
    """What the sources file says about one source; kinds add their own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    secrets: list[str] = Field(
        min_length=1,
        description="shared secrets, the present one and during a rotation the one before; env:NAME or file:PATH"
        " (relative to this file's folder) keeps them out of this file",
    )
    per_second: float = Field(
        0, ge=0, le=100_000, description="genuine requests a second, with a burst of as many; 0: no limit"
    )
    at_once: int = Field(200, ge=1, le=10_000, description="requests together; more are told to come again")
    max_bytes: int = Field(MIB, ge=1024, le=64 * MIB, description="the largest body that is taken")

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        return [resolve(one) for one in written]


def resolve(written: str) -> str:
    """A secret from where it is kept."""
    if written.startswith("env:"):
        secret = os.environ.get(written[4:], "")
        if not secret:
            raise ValueError(f"{written}: the environment has no such variable; set it")
    elif written.startswith("file:"):
        try:
            secret = Path(written[5:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{written}: {error}; name a file that can be read") from None
    else:
        secret = written
    if len(secret) < 8:
        raise ValueError("a secret of less than 8 characters can be guessed; use a long random one")
    return secret


class Request(NamedTuple):
    """One request as it came. Header names are in lower case; the query is as it was written."""

    method: str
    headers: Mapping[str, str]
    query_string: str
    body: bytes
    received_at: datetime

    @property
    def query(self) -> Mapping[str, str]:
        """The parts of the query by name; of several with one name, the last."""
        return _query(self.query_string)


@lru_cache(256)
def _query(written: str) -> Mapping[str, str]:
    """A source sends the same query with every request."""
    return MappingProxyType(dict(parse_qsl(written, keep_blank_values=True)))


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusalReason(StrEnum):
    NO_SIGNATURE = "no-signature"
    WRONG_SIGNATURE = "wrong-signature"
    OLD_TIMESTAMP = "old-timestamp"
    BAD_TIMESTAMP = "bad-timestamp"
    UNKNOWN_FORM = "unknown-form"


class Unauthenticated(Exception):
    """The request is not shown to be genuine, or is of no form that this source speaks."""

    def __init__(self, reason: RefusalReason, detail: str, status: int = 401) -> None:
        super().__init__(detail)
        self.reason, self.status = reason, status


class DealFact(NamedTuple):
    """An event of a deal; `deal` is the CRM's own id."""

    type: EventType
    id: str
    deal: str
    time: datetime
    data: dict[str, Any]


class StageFact(NamedTuple):
    """What a stage or a pipeline is called, and where it stands: fields of `StageData` beside the source.

    `passing`: told beside a deal, and so told again and again; else for its own sake.
    """

    time: datetime
    data: dict[str, Any]
    passing: bool = True


class Ignored(NamedTuple):
    """Genuine, understood, and of no use to Andon."""

    reason: str


class Invalid(NamedTuple):
    """Genuine, but it cannot be translated: it goes to the dead letters with the bytes it was made of."""

    detail: str
    raw: bytes
    reason: DeadReason = DeadReason.UNTRANSLATABLE


Parsed = DealFact | StageFact | Ignored | Invalid


class Source(ABC):
    """One connection to a CRM. A kind has a name, its settings, and its two steps: verify, translate."""

    kind: ClassVar[str] = ""
    # What to do in the CRM, for `andon source add`.
    clicks: ClassVar[str] = ""
    # Whether the secret stands at the end of the address, as `?key=`.
    keyed: ClassVar[bool] = False
    # What is answered when everything was taken; None: 202.
    reply: ClassVar[Reply | None] = None
    # What makes this CRM come again later: 503 does for all that come again at all.
    slow_down: ClassVar[int] = 503
    settings_type: ClassVar[type[SourceSettings]] = SourceSettings

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name, self.settings = name, settings

    @abstractmethod
    def verify(self, request: Request) -> None:
        """Raise Unauthenticated unless the request was made by one who knows a secret of this source."""

    @abstractmethod
    def translate(self, request: Request) -> list[Parsed]:
        """What a genuine request says, in its order. Never raises on any body."""

    def challenge(self, request: Request) -> Reply | None:
        """The answer to a question that some CRMs ask at set-up, before anything can be verified."""
        return None

    def kept(self, request: Request) -> bytes:
        """The body as it may be kept: without secrets that the CRM writes into it."""
        return request.body

    def handshake(self, request: Request) -> dict[str, str] | None:
        """The headers that answer an OPTIONS request; None where the kind has no handshake."""
        return None


class InvalidField(ValueError):
    """A part cannot be translated; the text names field, value and the way out."""


def json_of(body: bytes) -> Any:
    """The document of a body; raises InvalidField (broken encodings are refused, and what is nested too deep)."""
    try:
        document = orjson.loads(body)
        # What is as deep can be read, but not written again: not even as a dead letter.
        if body.count(b"[") + body.count(b"{") > DEEPEST:
            orjson.dumps(document)
    except orjson.JSONDecodeError as error:
        raise InvalidField(f"body: not JSON ({error}); send UTF-8 JSON") from None
    except orjson.JSONEncodeError:
        raise InvalidField(f"body: nested deeper than {DEEPEST} levels; send it flatter") from None
    return document


def unreadable(body: bytes, error: InvalidField) -> Invalid:
    """A body that is not JSON at all."""
    return Invalid(str(error), body, DeadReason.NOT_JSON)


def raw(part: Any) -> bytes:
    """The bytes of one part of a document."""
    return compact(part)


def moment_of_text(value: Any, field: str) -> datetime:
    """RFC 3339 with an offset. A time without one would be a guess and is refused."""
    try:
        if not isinstance(value, str) or len(value) < 20:
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(
            f"{field}: {shown(value)} is no time; send RFC 3339 with an offset, as 2026-03-10T09:00:00Z"
        ) from None


def moment_of_ms(value: Any, field: str) -> datetime:
    """Milliseconds since 1970, as an integer or as its text."""
    try:
        text = str(value) if isinstance(value, int | str) else ""
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise ValueError
        return _EPOCH + timedelta(milliseconds=int(text))
    except (ValueError, OverflowError):
        raise InvalidField(f"{field}: {shown(value)} is no time; milliseconds since 1970 are expected") from None


def id_of(value: Any, field: str) -> str:
    """An id as text; numbers are taken where they are exact integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or "\x00" in value:
        raise InvalidField(f"{field}: {shown(value)} is no id; an integer or a text of 1 to 200 characters is expected")
    return value


def text_of(value: Any, field: str, most: int = 4000) -> str:
    """A text that can be kept."""
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidField(f"{field}: {shown(value)} is no text; a text without NUL characters is expected")
    return value[:most]


def currency_of(value: Any, field: str) -> str:
    """The short text of a currency, as EUR."""
    return text_of(value, field, 12)


def amount_of(value: Any, field: str) -> str:
    """A decimal as text without an exponent."""
    plain = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    if _PLAIN.fullmatch(plain):
        return plain
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        amount = Decimal(str(value))
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or abs(amount) >= Decimal(10) ** 30:
            raise ValueError
        if exponent < -12:
            # What lies behind is the noise of binary fractions: 59.97 as 59.970000000000006.
            amount = _WIDE.quantize(amount, _FINEST).normalize(_WIDE)
    except (ValueError, ArithmeticError):
        raise InvalidField(f"{field}: {shown(value)} is no amount; a decimal is expected, as 48500.00") from None
    return f"{amount:f}"


def stamp_of(header: str, value: str, unit: timedelta) -> datetime:
    """A signed time: how many units since 1970. Raises Unauthenticated."""
    try:
        if not (value.isascii() and value.isdigit()):
            raise ValueError
        return _EPOCH + unit * int(value)
    except (ValueError, OverflowError):
        raise Unauthenticated(
            RefusalReason.BAD_TIMESTAMP, f"header {header}: {shown(value)} is no time; digits since 1970 are expected"
        ) from None


def shown(value: Any) -> str:
    """A value in an error, cut short."""
    return repr(value)[:80]


def unbase64(text: str) -> bytes | None:
    """Strict base64; None when it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def fits(right: Iterable[bytes], given: Sequence[bytes]) -> bool:
    """Whether one of the right values was given; all are compared, so that the time taken tells nothing."""
    found = False
    for one in right:
        for other in given:
            found |= hmac.compare_digest(one, other)
    return found


def single(headers: Mapping[str, str], name: str) -> str:
    """A header that must be there."""
    if not (value := headers.get(name, "")):
        raise Unauthenticated(RefusalReason.NO_SIGNATURE, f"header {name} is missing; this source signs its requests")
    return value


def check_age(sent: datetime, now: datetime, header: str) -> None:
    """A signed time must lie within five minutes of now."""
    if abs(now - sent) > WINDOW:
        raise Unauthenticated(
            RefusalReason.OLD_TIMESTAMP,
            f"header {header}: signed {sent.isoformat()}, more than 5 minutes from {now.isoformat()};"
            " send it anew with the present time, or set the sender's clock",
        )


def first_of(data: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any] | None:
    """The first of several spellings of a field that is there."""
    return next(((name, data[name]) for name in names if name in data), None)
