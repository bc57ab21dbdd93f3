"""How far an import has got, kept in a file beside the table: what was acknowledged is not read again."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from pydantic import BaseModel

from services.importer.mapping import Mapping


class ImportJournal(BaseModel):
    """`what` stands for the file's bytes, the mapping and the source: with another the import begins anew."""

    what: str
    rows: int = 0
    events: int = 0
    bad: int = 0
    report_bytes: int = 0
    earliest: int | None = None
    notes: Counter[str] = Counter()
    done: bool = False

    @staticmethod
    def opened(path: Path, what: str) -> ImportJournal:
        """The journal of an import that was cut off, or a new one."""
        if path.exists():
            found = ImportJournal.model_validate_json(path.read_text(encoding="utf-8"))
            if not found.done:
                # What is in already of another version of the table is judged with this one.
                return found if found.what == what else ImportJournal(what=what, earliest=found.earliest)
        return ImportJournal(what=what)

    def keep(self, path: Path) -> None:
        """In one step: a reader finds the old or the new, and never a half."""
        beside = path.with_suffix(".new")
        beside.write_text(self.model_dump_json(), encoding="utf-8")
        beside.replace(path)


def what(path: Path, mapping: Mapping, source: str) -> str:
    """The digest of all that decides which events an import gives."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"\x00{mapping.model_dump_json()}\x00{source}".encode())
    return digest.hexdigest()
