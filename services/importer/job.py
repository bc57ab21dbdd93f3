"""Runs an import: reads a table row by row, lets what it tells go in, and goes on where it was cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from services.detector.settings import DetectorSettings
from services.importer.journal import ImportJournal, what
from services.importer.load import LoadProgress, LoadResult, Portion, load
from services.importer.mapping import Mapping
from services.importer.readers import RowFault
from services.importer.report import Report
from services.importer.row_events import RowEvents
from services.importer.tables import Table
from services.importer.tables.base import Row
from shared.connectors.base.facts import DealFact
from shared.connectors.base.messages import to_messages
from shared.runtime.instants import micros

AT_ONCE = 2000


class BadRowsError(Exception):
    """`strict`: a row cannot be taken, so nothing went in."""


@dataclass(frozen=True)
class Task:
    """What is to be imported: a table, what it means, as which source; where journal and report are kept."""

    path: Path
    table: Table
    mapping: Mapping
    source: str
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.path.name}.import.json"

    @property
    def report(self) -> Path:
        return self.folder / f"{self.path.name}.rejected.csv"


class Import:
    """One run. `journal` tells afterwards how many rows, events and bad rows there were."""

    def __init__(self, task: Task, now: datetime | None = None) -> None:
        self._task, self._now = task, now or datetime.now(UTC)
        self.journal = ImportJournal.opened(task.journal, what(task.path, task.mapping, task.source))
        self._story = RowEvents.of(task.mapping, task.table.columns, self._now)

    @property
    def goes_on(self) -> bool:
        """Whether a run that was cut off is taken up."""
        return self.journal.rows > 0

    @property
    def share(self) -> float:
        """How much of the table is read, 0 to 1."""
        return self._task.table.read

    @property
    def report(self) -> Path:
        """Where the rows that cannot be taken are told of."""
        return self._task.report

    async def run(self, settings: DetectorSettings, progress: LoadProgress, strict: bool) -> LoadResult:
        """Let everything in. Raises LoadError, TableError, and with `strict` BadRowsError before anything went in."""
        if strict:
            self._refuse_bad_rows()
        result = await load(settings, self._portions(settings.topic_prefix), progress)
        self.journal.done = True
        self.journal.keep(self._task.journal)
        self._end()
        return result

    def events(self) -> Iterator[DealFact]:
        """All that the good rows tell, without letting anything in; bad ones are reported."""
        self.journal = ImportJournal(what="")
        self._story.notes = self.journal.notes
        report = Report(self._task.report)
        for row in self._task.table.rows():
            yield from self._told(row, report)
        report.close()
        self._end()

    def _refuse_bad_rows(self) -> None:
        look = Import(self._task, self._now)
        for _ in look.events():
            pass
        bad, rows = look.journal.bad, look.journal.rows
        if bad:
            raise BadRowsError(f"{bad} of {rows} rows cannot be taken, so none went in: see {self._task.report}")

    async def _portions(self, prefix: str) -> AsyncIterator[Portion]:
        """When the next portion is asked for, the last is acknowledged: then the journal says so."""
        journal, report = self.journal, Report(self._task.report, self.journal.report_bytes)
        self._story.notes = journal.notes
        if journal.earliest is not None:
            yield Portion((), journal.earliest)
        rows = islice(self._task.table.rows(), journal.rows, None)
        while some := list(islice(rows, AT_ONCE)):
            told = [event for row in some for event in self._told(row, report)]
            if told:
                earliest = micros(min(event.time for event in told))
                journal.earliest = min(earliest, journal.earliest or earliest)
                yield Portion(to_messages(self._task.source, told, self._now, prefix).messages, earliest)
            journal.report_bytes = report.kept()
            journal.keep(self._task.journal)
        report.close()

    def _told(self, row: Row, report: Report) -> list[DealFact]:
        self.journal.rows += 1
        try:
            told = self._story.told(row)
        except RowFault as fault:
            self.journal.bad += 1
            report.add(row.line, fault)
            return []
        self.journal.events += len(told)
        return told

    def _end(self) -> None:
        """A report without a row would only be looked into."""
        if not self.journal.bad:
            self._task.report.unlink(missing_ok=True)
