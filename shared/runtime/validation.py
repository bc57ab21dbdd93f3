"""Pydantic's validation errors as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError


def explain(error: ValidationError, max_errors: int = 20) -> str:
    """All that is wrong with a record, field by field, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}, found {str(fault['input'])[:80]!r}"
        for fault in error.errors(include_url=False)[:max_errors]
    )


# Text for each type of error; the first whose name begins the error's type. {found} is the value, {limit} its bound.
_TEXTS = {
    "extra_forbidden": "no such field; remove it or correct its name",
    "missing": "is missing; add it",
    "union_tag_not_found": "has no kind; add one, such as kind: aging",
    "string_too_short": "{found} is too short; write at least {limit} characters",
    "string_too_long": "{found} is too long; write at most {limit} characters",
    "string_pattern": "{found} does not have the form that is needed here, {limit}; correct it",
    "string": "{found} is not a text; write one",
    "int": "{found} is not a whole number; write one, such as 3",
    "float": "{found} is not a number; write one, such as 0.5",
    "decimal": "{found} is not a number; write one, such as 0.5",
    "bool": "{found} is neither yes nor no; write true or false",
    "date_": "{found} is not a day of the calendar; write a day such as 2026-12-25",
    "datetime": "{found} is not a time; write one such as 2026-03-10T12:00:00+01:00",
    "timezone": "{found} has no offset from UTC; write a time such as 2026-03-10T12:00:00+01:00",
    "literal_error": "{found} is not known; use one of {limit}",
    "enum": "{found} is not known; use one of {limit}",
    "greater_than_equal": "{found} is too small; write at least {limit}",
    "greater_than": "{found} is too small; write more than {limit}",
    "less_than_equal": "{found} is too large; write at most {limit}",
    "less_than": "{found} is too large; write less than {limit}",
    "finite_number": "{found} is not a finite number; write one, such as 0.5",
    "too_short": "has too few entries; write at least {limit}",
    "too_long": "has too many entries; write at most {limit}",
    "model": "is not a group of fields; write each as `name: value`",
    "dict": "is not a group of fields; write each as `name: value`",
}
_LIST = "is not a list; write its entries in brackets, as [a, b]"
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "expected", "pattern")
_MAX_SHOWN = 80


def error_text(fault: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` for the author of a file: what is wrong and the way out.

    Shows the value unless the errors were made with `include_input=False`, as for secrets.
    """
    error_type, found, context = fault["type"], fault.get("input"), fault.get("ctx", {})
    shown = _shown(found) if "input" in fault else "this"
    if error_type == "union_tag_invalid":
        named = found.get("kind") if isinstance(found, dict) else found
        return f"kind {named!r} is not known; use one of {context['expected_tags']}"
    if error_type in ("value_error", "assertion_error"):
        suffix = f" (found {shown})" if isinstance(found, str | int | float) else ""
        return str(fault["msg"]).partition(", ")[2] + suffix
    if error_type in ("list_type", "tuple_type", "set_type", "frozen_set_type"):
        return _LIST
    text = next((text for name, text in _TEXTS.items() if error_type.startswith(name)), "{found} cannot be used here")
    limit = next((context[name] for name in _BOUNDS if name in context), "")
    return text.format(found=shown, limit=limit)


def _shown(found: Any) -> str:
    """The value for a sentence about it."""
    if found is None or found == "":
        return "an empty value"
    if isinstance(found, dict | list):
        return "a group of fields" if isinstance(found, dict) else "a list"
    text = repr(found)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def root_causes(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Errors without their consequences: a list counts as too short if its items are invalid."""
    paths = [tuple(fault["loc"]) for fault in faults]

    def is_consequence(fault: Mapping[str, Any]) -> bool:
        here = tuple(fault["loc"])
        return fault["type"] == "too_short" and any(p != here and p[: len(here)] == here for p in paths)

    return [fault for fault in faults if not is_consequence(fault)]
