"""Reads JSON as senders write it, and tolerates faults in single texts."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from shared.connectors.base.fields import REPLACEMENT, InvalidField

# Levels of nested arrays and objects.
MAX_DEPTH = 254
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Escapes of half a surrogate pair, which cannot be stored without the other half.
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INT_DIGITS = 18


def parse_json(body: bytes) -> Any:
    """The document of a body; raises InvalidField.

    Skips a byte order mark. Reads what other languages write: no field accepts NaN as a number, a character that cannot
    be decoded becomes U+FFFD, so that it costs only its own text, and a line break within a text stays.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        document = _parse_leniently(body, error)
    # orjson reads deeper documents than it can write, and a dead letter must be written.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        try:
            orjson.dumps(document)
        except orjson.JSONEncodeError:
            raise _too_deep() from None
    return document


def _parse_leniently(body: bytes, error: Exception) -> Any:
    try:
        document = json.loads(body.decode("utf-8", "replace"), parse_int=_integer, parse_constant=float, strict=False)
        return _without_surrogates(document)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise InvalidField(f"body: not JSON ({error}); send UTF-8 JSON") from None


def _integer(digits: str) -> int | float:
    """As orjson: integers of more than 64 bits are floats."""
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(one) for name, one in value.items()}
    return value


def _too_deep() -> InvalidField:
    return InvalidField(f"body: nested deeper than {MAX_DEPTH} levels; send it flatter")
