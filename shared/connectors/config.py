"""The file of sources: names, kinds, secrets. Every fault is told in one go, with its line and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.connectors.base.source import Source
from shared.connectors.registry import kinds
from shared.runtime.yaml_file import Fault, FaultsError, Lines, fault_at, read_text, read_yaml, words_of

# Of a source.
NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,59}$")


def load(path: Path) -> dict[str, Source]:
    """Every source by its name; raises FaultsError."""
    return parse(read_text(path, "ANDON_SOURCES"), path.resolve().parent)


def parse(text: str, folder: Path | None = None) -> dict[str, Source]:
    """As `load`, from text; `folder`: where the files of secrets lie that are named without a whole path."""
    lines, document = read_yaml(text)
    written = document.get("sources") if isinstance(document, dict) else None
    written = _placed(written, folder) if folder is not None else written
    if not isinstance(written, dict) or not written:
        raise FaultsError([Fault(1, "sources", "is missing; name at least one source, with its kind and secrets")])
    known, faults, sources = kinds(), [], {}
    faults += [fault_at((key,), "no such field; remove it", lines) for key in document if key != "sources"]
    for name, settings in written.items():
        try:
            sources[str(name)] = _source(str(name), settings, known, lines)
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults)
    return sources


def _placed(written: Any, folder: Path) -> Any:
    """What is written, with whole paths to files of secrets."""
    if isinstance(written, dict):
        return {key: _placed(value, folder) for key, value in written.items()}
    if isinstance(written, list):
        return [_placed(value, folder) for value in written]
    if isinstance(written, str) and written.startswith("file:"):
        return f"file:{folder / written.removeprefix('file:')}"
    return written


def _source(name: str, written: Any, known: dict[str, type[Source]], lines: Lines) -> Source:
    place = ("sources", name)
    if not NAME.match(name):
        words = "a name is 1 to 60 lower-case letters, digits and dashes: it stands in the address and in every deal"
        raise FaultsError([fault_at(place, words, lines)])
    kind = written.get("kind") if isinstance(written, dict) else None
    if not isinstance(kind, str) or kind not in known:
        raise FaultsError(
            [fault_at(place, f"kind {kind!r} is not known; use one of {', '.join(sorted(known))}", lines)]
        )
    try:
        return known[kind](name, known[kind].settings_type.model_validate(written))
    except ValidationError as error:
        # Not the value itself: it may be a secret.
        faults = error.errors(include_url=False, include_input=False)
        raise FaultsError([fault_at((*place, *f["loc"]), words_of(dict(f)), lines) for f in faults]) from None
