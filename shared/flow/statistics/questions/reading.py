"""Reads questions from JSON: each number exactly as written, be it a JSON number or a string such as "5/7"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from shared.flow.statistics.columns import Value
from shared.flow.statistics.questions.fields import QuestionError, refusal

# Beyond these an exact number becomes slow, and a double may overflow on the way to an answer.
_GREATEST_EXPONENT = 50
_GREATEST = 10**_GREATEST_EXPONENT
_LONGEST = 100
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e(?P<exponent>[+-]?[0-9]+))?|[+-]?[0-9]+/[0-9]+", re.IGNORECASE)


class _Literal(str):
    """A number of the JSON text, not yet read: NaN and Infinity too, which Python's reader takes for numbers."""

    __slots__ = ()


def parse(text: str) -> object:
    """The document, its numbers still as text. Raises QuestionError where the text is not JSON."""
    try:
        return json.loads(
            text, parse_float=_Literal, parse_int=_Literal, parse_constant=_Literal, object_pairs_hook=_without_repeats
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise QuestionError(f"{place}: not JSON ({error.msg}); write one question, or a list of them") from None
    except RecursionError:
        raise QuestionError("nested too deeply; write one question, or a list of them") from None


def exact(document: object) -> dict[str, Any]:
    """A question of a parsed document, its numbers exact. Raises QuestionError."""
    if not isinstance(document, Mapping):
        raise refusal("question", document, "write an object with the fields of one question")
    return cast("dict[str, Any]", _exact(document, ""))


def _exact(part: object, place: str) -> object:
    if isinstance(part, Mapping):
        return {name: _exact(value, f"{place}.{name}" if place else name) for name, value in part.items()}
    if isinstance(part, list):
        return [_exact(value, f"{place}[{index}]") for index, value in enumerate(part)]
    if isinstance(part, str) and (isinstance(part, _Literal) or _NUMBER.fullmatch(part)):
        return _number(part, place)
    return part


def _number(text: str, place: str) -> Value:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise refusal(place, text, "write a number, or null for a week without a value")
    if len(text) > _LONGEST or abs(int(found["exponent"] or 0)) > _GREATEST_EXPONENT:
        way_out = f"write a number of at most {_LONGEST} characters, its exponent from -{_GREATEST_EXPONENT} to"
        raise refusal(place, text, f"{way_out} {_GREATEST_EXPONENT}")
    try:
        value = Fraction(text)
    except ZeroDivisionError:
        raise refusal(place, text, "divides by 0; write null for a share of nothing") from None
    if abs(value) > _GREATEST:
        raise refusal(place, text, f"write a number from -1e{_GREATEST_EXPONENT} to 1e{_GREATEST_EXPONENT}")
    return int(value) if value.denominator == 1 else value


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise QuestionError(f"{name}: appears twice in one object; keep one")
        found[name] = value
    return found
