"""Parsers of single fields, `X_of(value, field)`: each returns a clean value or raises InvalidField."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from shared.connectors.base.facts import Invalid, UnreadableField
from shared.contracts.dead import DeadReason
from shared.contracts.envelope import iso

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Amounts that Decimal would return unchanged.
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,28})(?:\.[0-9]{1,12})?")
# The finest amount we store, and enough precision for the largest amount at that scale.
_FINEST, _WIDE = Decimal("1e-12"), Context(prec=60)
# Fields that decide the flow of a deal: if one cannot be read, the whole event is a dead letter.
_FLOW_FIELDS = frozenset(("stage", "pipeline", "into", "primary", "outcome"))
# RFC 3339, and two forms of ISO 8601 that senders write: no seconds, and an offset without a colon.
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(?::(\d{2})([.,]\d{1,30})?)?([Zz]|[+-]\d{2}(?::?\d{2})?)?", re.ASCII
)
# How most CRMs write a time: Python reads it as it is.
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?Z", re.ASCII)
_LEAP_SECOND, _LAST_MICROSECOND = "60", ":59.999999"
# A placeholder that was not filled in, and what programs print for "no value".
_UNFILLED = re.compile(
    r"\s*(?:\{\{.*\}\}|\$\{.*\}|\{!.*\}|\{[\w.]+\}|\[\[.*\]\]|<[%#].*>|%[\w.%]+%|\*\|.*\|\*"
    r"|undefined|null|\[object Object\])\s*",
    re.DOTALL,
)
# How such a text may start: other texts need not be matched.
_UNFILLED_STARTS = frozenset("{$[<%*un \t\r\n")
# Replaces a character that cannot be decoded.
REPLACEMENT = "\ufffd"
# Fewer milliseconds mean 1973 or earlier: the sender means seconds.
_LEAST_MILLISECONDS = 10**11
FieldParser = Callable[[Any, str], Any]


class InvalidField(ValueError):
    """A part cannot be translated; the text names the field, its value and the way out."""


def quoted(value: Any) -> str:
    """A value as errors show it: at most 80 characters."""
    return repr(value)[:80]


def invalid_json(body: bytes, error: InvalidField) -> Invalid:
    """The dead letter of a body that is not JSON."""
    return Invalid(str(error), body, DeadReason.NOT_JSON)


def map_fields(data: Mapping[str, Any], fields: Mapping[str, tuple[str, FieldParser]]) -> dict[str, Any]:
    """Our fields from a CRM's; `fields`: their name -> (our name, parser). An absent field stays absent.

    Null and an empty text are None, which clears the value that we have. A field that does not decide the flow is
    UnreadableField where it cannot be parsed; the others raise InvalidField.
    """
    mapped: dict[str, Any] = {}
    for theirs, (ours, parse) in fields.items():
        if theirs in data:
            value = data[theirs]
            try:
                mapped[ours] = None if value is None or value == "" else parse(value, theirs)
            except InvalidField as error:
                mapped[ours] = _unreadable(ours, error)
    return mapped


def field_value(ours: str, value: Any, parse: FieldParser, name: str) -> Any:
    """The value of one of our fields, from what its sender calls `name`; see `map_fields`."""
    if value is None or value == "":
        return None
    try:
        return parse(value, name)
    except InvalidField as error:
        return _unreadable(ours, error)


def _unreadable(ours: str, error: InvalidField) -> UnreadableField:
    if ours in _FLOW_FIELDS:
        raise error
    return UnreadableField(str(error))


def first_of(data: Mapping[str, Any], names: Sequence[str]) -> tuple[str, Any] | None:
    """Name and value of the first of several spellings of a field; None if all are absent."""
    return next(((name, data[name]) for name in names if name in data), None)


def object_of(value: Any, field: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise InvalidField(f"{field}: {quoted(value)}; an object is expected")
    return value


def record_type_of(value: Any, field: str) -> str:
    """The record type of a message. If it is missing, the CRM has changed its format: do not ignore the message."""
    if not isinstance(value, str) or not value:
        raise InvalidField(f"{field}: {quoted(value)}; the kind of record is expected, the sender's format has changed")
    return value


def is_record_type(value: Any, expected: str, field: str) -> bool:
    """Whether a message is about records of the expected type; raises InvalidField for a near miss."""
    if value == expected:
        return True
    found = record_type_of(value, field)
    if _singular(found) == _singular(expected):
        raise InvalidField(f"{field}: {quoted(found)} is not known; {expected} is expected")
    return False


def _singular(name: str) -> str:
    lower = name.strip().lower()
    return f"{lower[:-3]}y" if lower.endswith("ies") else lower.removesuffix("s")


def id_of(value: Any, field: str) -> str:
    """An id as text; accepts integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or "\x00" in value:
        raise InvalidField(
            f"{field}: {quoted(value)} is not an id; an integer or a text of 1 to 200 characters is expected"
        )
    if REPLACEMENT in value:
        raise InvalidField(f"{field}: {quoted(value)} holds a character that is not UTF-8; correct it in the CRM")
    if value[0] in _UNFILLED_STARTS:
        _check_filled(value, field)
    return value


def text_of(value: Any, field: str, max_length: int = 4000) -> str:
    """A text that Postgres can store: without NUL characters, cut to `max_length`."""
    if not isinstance(value, str):
        raise InvalidField(f"{field}: {quoted(value)} is not a text; a text is expected")
    if value[:1] in _UNFILLED_STARTS:
        _check_filled(value, field)
    return value.replace("\x00", "")[:max_length]


def _check_filled(value: str, field: str) -> None:
    if _UNFILLED.fullmatch(value, 0, 4000):
        raise InvalidField(f"{field}: {quoted(value)} was not filled in; correct the sender's template")


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
        raise InvalidField(f"{field}: {quoted(value)} is not an amount; a decimal is expected, as 48500.00") from None
    return f"{amount:f}"


def order_of(value: Any, field: str) -> int:
    """The position of a stage in its pipeline."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
        raise InvalidField(f"{field}: {quoted(value)} is not a position; an integer is expected")
    return value


def probability_of(value: Any, field: str, scale: int = 1) -> float:
    """A probability from 0 to 1, given as a number from 0 to `scale`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= scale:
        raise InvalidField(f"{field}: {quoted(value)} is not a probability; a number from 0 to {scale} is expected")
    return value / scale


def time_of(value: Any, field: str) -> datetime:
    """RFC 3339 with an offset; refuses a time without one, because we would have to guess."""
    moment = _moment(value)
    if moment is None or moment.tzinfo is None:
        raise InvalidField(
            f"{field}: {quoted(value)} is not a time; send RFC 3339 with an offset, as 2026-03-10T09:00:00Z"
        )
    return moment


def _moment(value: Any) -> datetime | None:
    """A time in UTC, or without a zone if it has no offset; None if it is not a time.

    A leap second is the last instant of its minute.
    """
    if not isinstance(value, str) or len(value) > 80:
        return None
    if _USUAL_TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    match = _TIME.fullmatch(value)
    return None if match is None else _moment_of(match)


def _moment_of(match: re.Match[str]) -> datetime | None:
    day, minute, second, fraction, offset = match.groups()
    leap = second == _LEAP_SECOND
    seconds = _LAST_MICROSECOND if leap else f":{second or '00'}{(fraction or '').replace(',', '.')}"
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}{seconds}{(offset or '').upper()}")
        moment = moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Leap seconds occur only at the end of a UTC day.
    return None if leap and (moment.hour, moment.minute) != (23, 59) else moment


def time_of_ms(value: Any, field: str) -> datetime:
    """Milliseconds since 1970, as an integer or as text."""
    try:
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise ValueError
        milliseconds = int(text)
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        raise InvalidField(f"{field}: {quoted(value)} is not a time; milliseconds since 1970 are expected") from None
    if abs(milliseconds) < _LEAST_MILLISECONDS:
        raise InvalidField(f"{field}: {quoted(value)} looks like seconds; milliseconds since 1970 are expected")
    return moment


def utc_time_of(value: Any, field: str) -> datetime:
    """As `time_of`, but a missing offset means UTC: `2026-03-10 09:00:00`, with or without T."""
    moment = _moment(value)
    if moment is None:
        raise InvalidField(f"{field}: {quoted(value)} is not a time; as 2026-03-10 09:00:00 is expected")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def utc_text_of(value: Any, field: str) -> str:
    """As `utc_time_of`, as text for a message."""
    return iso(utc_time_of(value, field))


def date_of(value: Any, field: str) -> str:
    """The date that the text starts with, as YYYY-MM-DD."""
    try:
        if not isinstance(value, str):
            raise ValueError
        day = date.fromisoformat(value[:10]).isoformat()
        # Python also reads other forms of ISO 8601, such as 2026-W18-4.
        if not value.startswith(day) or "0" <= value[10:11] <= "9":
            raise ValueError
        return day
    except ValueError:
        raise InvalidField(f"{field}: {quoted(value)} is not a date; as 2026-04-30 is expected") from None
