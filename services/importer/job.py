"""Runs an import: reads a table row by row, loads its events, and continues where an earlier run was interrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from services.detector.settings import DetectorSettings
from services.importer.journal import ImportJournal, fingerprint_of
from services.importer.load import LoadProgress, LoadResult, Portion, load
from services.importer.mapping import Mapping
from services.importer.readers import RowFault
from services.importer.rejected_rows import RejectedRows
from services.importer.row_events import RowEvents
from services.importer.tables import Table
from services.importer.tables.base import Row
from shared.connectors.base.facts import DealFact
from shared.connectors.base.messages import to_messages
from shared.runtime.instants import micros

ROWS_AT_ONCE = 2000


class BadRowsError(Exception):
    """With `strict`: some row has a fault, so nothing was published."""


@dataclass(frozen=True)
class ImportTask:
    """A table, what it means, and the source of its deals; `folder` gets the journal and the rejected rows."""

    path: Path
    table: Table
    mapping: Mapping
    source: str
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.path.name}.import.json"

    @property
    def rejected_rows(self) -> Path:
        return self.folder / f"{self.path.name}.rejected.csv"


class ImportJob:
    """One run of a task. Afterwards `journal` has the numbers of rows, events and rejected rows."""

    def __init__(self, task: ImportTask, now: datetime | None = None) -> None:
        self._task, self._now = task, now or datetime.now(UTC)
        self.journal = ImportJournal.resume(task.journal, fingerprint_of(task.path, task.mapping, task.source))
        self._events = RowEvents.of_table(task.mapping, task.table.columns, self._now)

    @property
    def continues(self) -> bool:
        """Whether this continues an interrupted run."""
        return self.journal.rows > 0

    @property
    def share_read(self) -> float:
        """The share of the table that has been read, 0 to 1."""
        return self._task.table.share_read

    @property
    def rejected_rows(self) -> Path:
        """The file with the rejected rows."""
        return self._task.rejected_rows

    async def run(self, settings: DetectorSettings, progress: LoadProgress, strict: bool) -> LoadResult:
        """Load everything. Raises LoadError, TableError, and with `strict` BadRowsError before publishing anything."""
        if strict:
            self._refuse_bad_rows()
        result = await load(settings, self._portions(settings.topic_prefix), progress)
        self.journal.done = True
        self.journal.save(self._task.journal)
        self._remove_empty_report()
        return result

    def events(self) -> Iterator[DealFact]:
        """The events of all rows without faults; publishes nothing, and reports the rows with faults."""
        self.journal = ImportJournal(fingerprint="")
        self._events.notes = self.journal.notes
        rejected = RejectedRows(self._task.rejected_rows)
        for row in self._task.table.rows():
            yield from self._events_of(row, rejected)
        rejected.close()
        self._remove_empty_report()

    def _refuse_bad_rows(self) -> None:
        check = ImportJob(self._task, self._now)
        for _ in check.events():
            pass
        bad, rows = check.journal.bad, check.journal.rows
        if bad:
            raise BadRowsError(f"{bad} of {rows} rows have faults, so nothing was published: see {self.rejected_rows}")

    async def _portions(self, prefix: str) -> AsyncIterator[Portion]:
        """The loader takes the next portion once the last is acknowledged; only then the journal counts its rows."""
        journal, rejected = self.journal, RejectedRows(self.rejected_rows, self.journal.report_bytes)
        self._events.notes = journal.notes
        if journal.earliest is not None:
            yield Portion((), journal.earliest)
        rows = islice(self._task.table.rows(), journal.rows, None)
        while some := list(islice(rows, ROWS_AT_ONCE)):
            events = [event for row in some for event in self._events_of(row, rejected)]
            if events:
                earliest = micros(min(event.time for event in events))
                journal.earliest = min(earliest, journal.earliest or earliest)
                yield Portion(to_messages(self._task.source, events, self._now, prefix).messages, earliest)
            journal.report_bytes = rejected.flush()
            journal.save(self._task.journal)
        rejected.close()

    def _events_of(self, row: Row, rejected: RejectedRows) -> list[DealFact]:
        self.journal.rows += 1
        try:
            events = self._events.of_row(row)
        except RowFault as fault:
            self.journal.bad += 1
            rejected.add(row.line, fault)
            return []
        self.journal.events += len(events)
        return events

    def _remove_empty_report(self) -> None:
        if not self.journal.bad:
            self.rejected_rows.unlink(missing_ok=True)
