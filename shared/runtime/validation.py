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


def error_text(fault: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` for the author of a file: what is wrong and the way out.

    Shows the value unless the errors were made with `include_input=False`, as for secrets.
    """
    error_type, found = fault["type"], fault.get("input")
    if error_type == "extra_forbidden":
        return "no such field; remove it or correct its name"
    if error_type == "missing":
        return "is missing; add it"
    if error_type == "union_tag_invalid":
        named = found.get("kind") if isinstance(found, dict) else found
        return f"kind {named!r} is not known; use one of {fault['ctx']['expected_tags']}"
    suffix = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
    return str(fault["msg"]).removeprefix("Value error, ") + suffix


def root_causes(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Errors without their consequences: a list counts as too short if its items are invalid."""
    paths = [tuple(fault["loc"]) for fault in faults]

    def is_consequence(fault: Mapping[str, Any]) -> bool:
        here = tuple(fault["loc"])
        return fault["type"] == "too_short" and any(p != here and p[: len(here)] == here for p in paths)

    return [fault for fault in faults if not is_consequence(fault)]
