"""The policy and the sources file in a backup; secrets only where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from services.cli.backup.archive import FileWriter, StoredFile
from shared.runtime.yaml_file import read_text, read_yaml

SECRET_FIELD = re.compile("secret|token|password|key")
_REFERENCES = ("env:", "file:")
MASK = "env:NOT_IN_THE_BACKUP"


def save(policy: Path, sources: Path, folder: Path, with_secrets: bool) -> list[StoredFile]:
    """Write those that are there; with secrets also the files that `file:` names."""
    stored = []
    if policy.is_file():
        stored.append(_store(folder, "policy.yaml", policy.read_bytes()))
    if sources.is_file():
        text = read_text(sources, "ANDON_SOURCES")
        document = read_yaml(text)[1]
        if not with_secrets:
            stored.append(_store(folder, "sources.yaml", _without_secrets(text, document)))
            return stored
        stored.append(_store(folder, "sources.yaml", text.encode()))
        for number, path in enumerate(sorted(set(_secret_files(document, sources.parent)))):
            if path.is_file():
                stored.append(_store(folder, f"secret-{number}-{path.name}", path.read_bytes()))
    return stored


def _store(folder: Path, name: str, content: bytes) -> StoredFile:
    writer = FileWriter(folder, f"settings/{name}.gz")
    writer.write(content)
    return StoredFile(path=writer.path, sha256=writer.finish())


def _without_secrets(text: str, document: Any) -> bytes:
    """The text as it is if it only refers to secrets; else the document without them."""
    masked = masked_document(document)
    return text.encode() if masked == document else orjson.dumps(masked, option=orjson.OPT_INDENT_2)


def masked_document(value: Any, is_secret: bool = False) -> Any:
    """The same document, with MASK for each secret that stands in it."""
    if isinstance(value, dict):
        return {key: masked_document(inner, bool(SECRET_FIELD.search(str(key)))) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked_document(inner, is_secret) for inner in value]
    if is_secret and isinstance(value, str) and not value.startswith(_REFERENCES):
        return MASK
    return value


def _secret_files(value: Any, folder: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _secret_files(inner, folder)
    elif isinstance(value, str) and value.startswith("file:"):
        yield folder / value.removeprefix("file:")
