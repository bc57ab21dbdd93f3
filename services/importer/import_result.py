"""What became of an import, as a document for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.importer.journal import ImportJournal
from services.importer.mapping import Mapping
from shared.contracts.envelope import iso
from shared.runtime.instants import moment

_FIELD, _STAGE = "without ", "stage "


@dataclass(frozen=True)
class ImportResult:
    """A finished import. `rejected_rows`: the file that lists the rows with faults; None if there are none."""

    file: Path
    source: str
    dry_run: bool
    mapping: Mapping
    journal: ImportJournal
    rejected_rows: Path | None

    @property
    def exit_code(self) -> int:
        """1 if some row has a fault."""
        return 1 if self.journal.bad else 0

    def document(self) -> dict[str, Any]:
        """Counts of rows and events, and the mapping that was used."""
        journal, notes = self.journal, self.journal.notes
        return {
            "file": str(self.file),
            "source": self.source,
            "dry_run": self.dry_run,
            "rows": journal.rows,
            "imported": journal.imported,
            "events": journal.events,
            "earliest": None if journal.earliest is None else iso(moment(journal.earliest)),
            "rejected": journal.bad,
            "rejected_rows": None if self.rejected_rows is None else str(self.rejected_rows),
            "skipped": {"footers": notes["footers"], "ignored": notes["ignored"]},
            "open_without_stage": notes["unplaced"],
            "stage_before_creation": notes["early"],
            "without": {name.removeprefix(_FIELD): n for name, n in notes.items() if name.startswith(_FIELD)},
            "unordered_stages": {name.removeprefix(_STAGE): n for name, n in notes.items() if name.startswith(_STAGE)},
            "mapping": self.mapping.model_dump(mode="json", exclude_defaults=True),
        }
