"""The sources file: names, kinds, secrets. Reports every fault at once, with its line and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.connectors.base.source import Source
from shared.connectors.registry import kinds
from shared.contracts.canary import CANARY
from shared.runtime.validation import error_text
from shared.runtime.yaml_file import Fault, FaultsError, Lines, fault_at, read_text, read_yaml

# Of a source.
NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,59}$")


def load(path: Path) -> dict[str, Source]:
    """The sources by name; raises FaultsError."""
    return parse(read_text(path, "ANDON_SOURCES"), path.resolve().parent)


def parse(text: str, folder: Path | None = None) -> dict[str, Source]:
    """As `load`, from text; `folder`: the base of relative paths of secrets."""
    lines, document = read_yaml(text)
    entries = document.get("sources") if isinstance(document, dict) else None
    entries = with_absolute_paths(entries, folder) if folder is not None else entries
    if not isinstance(entries, dict) or not entries:
        raise FaultsError([Fault(1, "sources", "is missing; name at least one source, with its kind and secrets")])
    known, faults, sources = kinds(), [], {}
    faults += [fault_at((key,), "no such field; remove it", lines) for key in document if key != "sources"]
    for name, settings in entries.items():
        try:
            sources[str(name)] = _source(str(name), settings, known, lines)
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults)
    return sources


def with_absolute_paths(value: Any, folder: Path) -> Any:
    """The document with absolute paths in `file:` references to secrets."""
    if isinstance(value, dict):
        return {key: with_absolute_paths(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_absolute_paths(inner, folder) for inner in value]
    if isinstance(value, str) and value.startswith("file:"):
        return f"file:{folder / value.removeprefix('file:')}"
    return value


def _source(name: str, settings: Any, known: dict[str, type[Source]], lines: Lines) -> Source:
    path = ("sources", name)
    if not NAME.match(name):
        text = "a name has 1 to 60 lower-case letters, digits and dashes: it is part of the URL and of every deal's id"
        raise FaultsError([fault_at(path, text, lines)])
    if name == CANARY:
        text = "this name is the canary's, which needs no entry: docs/operator/canary.md; choose another"
        raise FaultsError([fault_at(path, text, lines)])
    kind = settings.get("kind") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in known:
        text = f"kind {kind!r} is not known; use one of {', '.join(sorted(known))}"
        raise FaultsError([fault_at(path, text, lines)])
    try:
        return known[kind](name, known[kind].settings_type.model_validate(settings))
    except ValidationError as error:
        # Never show the value, which may be a secret.
        errors = error.errors(include_url=False, include_input=False)
        raise FaultsError([fault_at((*path, *one["loc"]), error_text(one), lines) for one in errors]) from None
