"""The contracts of each release, in docs/schemas/released/<version>, and what of them no longer holds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.schema_changes import ReadBy, breaking_changes

APIS = ("asyncapi.json", "openapi.json")
# Others read them, and nobody sends them to us. What is on Kafka goes both ways: readers outside and services of the
# release before read new messages, and new services read old ones, which are kept.
ONLY_SENT = ("hooks.json",)


def version_of(text: str) -> tuple[int, ...]:
    """`0.10.2` as numbers, which are in order."""
    return tuple(int(part) for part in text.split("."))


def latest_release(folder: Path) -> Path | None:
    """The contracts of the newest release; None before the first one."""
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return max(found, key=lambda path: version_of(path.name), default=None)


def is_major(released: str, version: str) -> bool:
    """Whether `version` may break what `released` promised: only its first number says so, also while that is 0."""
    return version_of(version)[0] > version_of(released)[0]


def schema_breaks(old: Path, new: Path) -> list[str]:
    """What of the JSON Schemas in the folder `old` no longer holds in `new`, one line for each change."""
    return [line for path in sorted(old.glob("*.json")) if path.name not in APIS for line in _breaks_of(path, new)]


def _breaks_of(old: Path, folder: Path) -> list[str]:
    new = folder / old.name
    if not new.is_file():
        return [f"{old.name}: is gone"]
    readers = (ReadBy.OTHERS,) if old.name in ONLY_SENT else tuple(ReadBy)
    schemas = json.loads(old.read_text()), json.loads(new.read_text())
    found = {str(change): None for reader in readers for change in breaking_changes(*schemas, reader)}
    return [f"{old.name}: {change}" for change in found]
