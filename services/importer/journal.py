"""Records the progress of an import next to the table, so that acknowledged rows are not read again."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from pydantic import BaseModel

from services.importer.mapping import Mapping


class ImportJournal(BaseModel):
    """`fingerprint`: digest of the file, the mapping and the source; if it differs, the import starts over.

    `earliest`: the earliest instant of the published events, in microseconds.
    """

    fingerprint: str
    rows: int = 0
    events: int = 0
    bad: int = 0
    report_bytes: int = 0
    earliest: int | None = None
    notes: Counter[str] = Counter()
    done: bool = False

    @property
    def imported(self) -> int:
        """The rows that became events: not refused, and not skipped."""
        return self.rows - self.bad - self.notes["ignored"] - self.notes["footers"]

    @staticmethod
    def resume(path: Path, fingerprint: str) -> ImportJournal:
        """The journal of an interrupted import, or a new one."""
        if path.exists():
            found = ImportJournal.model_validate_json(path.read_text(encoding="utf-8"))
            if not found.done:
                # An earlier version of the table may have published events: evaluate them together with these.
                same = found.fingerprint == fingerprint
                return found if same else ImportJournal(fingerprint=fingerprint, earliest=found.earliest)
        return ImportJournal(fingerprint=fingerprint)

    def save(self, path: Path) -> None:
        """Write the file atomically: a reader finds the old journal or the new."""
        new = path.with_suffix(".new")
        new.write_text(self.model_dump_json(), encoding="utf-8")
        new.replace(path)


def fingerprint_of(path: Path, mapping: Mapping, source: str) -> str:
    """The digest of everything that decides which events an import gives."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"\x00{mapping.model_dump_json()}\x00{source}".encode())
    return digest.hexdigest()
