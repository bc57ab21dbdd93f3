"""Parsers of single fields, `X_of(value, field)`: each returns a clean value or raises InvalidField."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import orjson

from shared.connectors.base.facts import Invalid
from shared.contracts.dead import DeadReason
from shared.contracts.envelope import iso

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Amounts that Decimal would return unchanged.
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,28})(?:\.[0-9]{1,12})?")
# The finest amount we store, and enough precision for the largest amount at that scale.
_FINEST, _WIDE = Decimal("1e-12"), Context(prec=60)
# Levels of nested arrays and objects.
MAX_DEPTH = 254
FieldParser = Callable[[Any, str], Any]


class InvalidField(ValueError):
    """A part cannot be translated; the text names the field, its value and the way out."""


def quoted(value: Any) -> str:
    """A value as errors show it: at most 80 characters."""
    return repr(value)[:80]


def parse_json(body: bytes) -> Any:
    """The document of a body; raises InvalidField, also for broken encodings and excessive nesting."""
    try:
        document = orjson.loads(body)
        # orjson reads deeper documents than it can write, and a dead letter has to be written.
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            orjson.dumps(document)
    except orjson.JSONDecodeError as error:
        raise InvalidField(f"body: not JSON ({error}); send UTF-8 JSON") from None
    except orjson.JSONEncodeError:
        raise InvalidField(f"body: nested deeper than {MAX_DEPTH} levels; send it flatter") from None
    return document


def invalid_json(body: bytes, error: InvalidField) -> Invalid:
    """The dead letter of a body that is not JSON."""
    return Invalid(str(error), body, DeadReason.NOT_JSON)


def map_fields(data: Mapping[str, Any], fields: Mapping[str, tuple[str, FieldParser]]) -> dict[str, Any]:
    """Our fields from a CRM's; `fields`: their name -> (our name, parser). An absent field stays absent, null is None.

    None clears the value that we have.
    """
    return {
        ours: None if data[theirs] is None else parse(data[theirs], theirs)
        for theirs, (ours, parse) in fields.items()
        if theirs in data
    }


def first_of(data: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any] | None:
    """Name and value of the first of several spellings of a field; None if all are absent."""
    return next(((name, data[name]) for name in names if name in data), None)


def object_of(value: Any, field: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise InvalidField(f"{field}: {quoted(value)}; an object is expected")
    return value


def record_type_of(value: Any, field: str) -> str:
    """The record type of a message. Without one the CRM has changed its format: dead-letter it, do not ignore it."""
    if not isinstance(value, str) or not value:
        raise InvalidField(f"{field}: {quoted(value)}; the kind of record is expected, the sender's format has changed")
    return value


def id_of(value: Any, field: str) -> str:
    """An id as text; accepts integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or "\x00" in value:
        raise InvalidField(
            f"{field}: {quoted(value)} is no id; an integer or a text of 1 to 200 characters is expected"
        )
    return value


def text_of(value: Any, field: str, max_length: int = 4000) -> str:
    """A text that Postgres can store, cut to `max_length`."""
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidField(f"{field}: {quoted(value)} is no text; a text without NUL characters is expected")
    return value[:max_length]


def currency_of(value: Any, field: str) -> str:
    """A currency code such as EUR."""
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
            # Digits beyond this are rounding noise of binary fractions: 59.970000000000006.
            amount = _WIDE.quantize(amount, _FINEST).normalize(_WIDE)
    except (ValueError, ArithmeticError):
        raise InvalidField(f"{field}: {quoted(value)} is no amount; a decimal is expected, as 48500.00") from None
    return f"{amount:f}"


def order_of(value: Any, field: str) -> int:
    """The position of a stage in its pipeline."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
        raise InvalidField(f"{field}: {quoted(value)} is no position; an integer is expected")
    return value


def probability_of(value: Any, field: str, scale: int = 1) -> float:
    """A probability from 0 to 1, given as a number from 0 to `scale`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= scale:
        raise InvalidField(f"{field}: {quoted(value)} is no probability; a number from 0 to {scale} is expected")
    return value / scale


def time_of(value: Any, field: str) -> datetime:
    """RFC 3339 with an offset; a time without one is refused, because we would have to guess."""
    try:
        if not isinstance(value, str) or len(value) < 20:
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(
            f"{field}: {quoted(value)} is no time; send RFC 3339 with an offset, as 2026-03-10T09:00:00Z"
        ) from None


def time_of_ms(value: Any, field: str) -> datetime:
    """Milliseconds since 1970, as an integer or as text."""
    try:
        text = str(value) if isinstance(value, int | str) else ""
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise ValueError
        return _EPOCH + timedelta(milliseconds=int(text))
    except (ValueError, OverflowError):
        raise InvalidField(f"{field}: {quoted(value)} is no time; milliseconds since 1970 are expected") from None


def utc_time_of(value: Any, field: str) -> datetime:
    """ISO 8601 where a missing offset means UTC: `2026-03-10 09:00:00`, with or without T."""
    try:
        if not isinstance(value, str) or len(value) < 16:
            raise ValueError
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(f"{field}: {quoted(value)} is no time; as 2026-03-10 09:00:00 is expected") from None


def utc_text_of(value: Any, field: str) -> str:
    """As `utc_time_of`, in the form that messages carry."""
    return iso(utc_time_of(value, field))


def date_of(value: Any, field: str) -> str:
    """The date that the text starts with, as YYYY-MM-DD."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise InvalidField(f"{field}: {quoted(value)} is no date; as 2026-04-30 is expected") from None
