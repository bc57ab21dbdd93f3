"""What a row tells of its deal, as events. Pure: the same row and mapping give the same events with the same ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.importer.mapping import Mapping, Shape
from services.importer.readers import Cells, Readers, RowFault
from services.importer.shapes import changes, last_stage, stages
from services.importer.steps import RowStep, timed
from services.importer.tables.base import Row
from shared.connectors.base.facts import DealFact
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.policy import StageOutcome
from shared.runtime.instants import moment

_SHAPES: dict[Shape, Callable[[Cells], list[RowStep]]] = {
    Shape.STAGES: stages.steps,
    Shape.LAST_STAGE: last_stage.steps,
    Shape.CHANGES: changes.steps,
}


@dataclass
class RowEvents:
    """Tells row after row. `notes` counts rows that were passed over, and open deals whose stage has no date."""

    readers: Readers
    notes: Counter[str]

    @staticmethod
    def of(mapping: Mapping, columns: list[str], now: datetime) -> RowEvents:
        return RowEvents(Readers(mapping, columns, now), Counter())

    def told(self, row: Row) -> list[DealFact]:
        """The events of a row; none where the mapping passes over it; raises RowFault."""
        mapping = self.readers.mapping
        cells = self.readers.of(row)
        deal = cells.deal()
        if cells.ignored(cells.stage()):
            self.notes["ignored"] += 1
            return []
        steps = _SHAPES[mapping.shape](cells)
        if not steps:
            raise _undated(mapping, deal)
        instants = timed(steps, mapping.places)
        _check(steps, instants, mapping)
        self._note(steps)
        named = cells.text(mapping.columns.pipeline)
        pipeline = mapping.pipelines.get(named, named) or mapping.pipeline
        events = [_event(deal, pipeline, *pair) for pair in zip(steps, instants, strict=True)]
        return self._described(cells, deal, events)

    def _note(self, steps: list[RowStep]) -> None:
        """A deal that is known, open, and in no stage."""
        if all(step.type is EventType.CREATED and step.stage is None for step in steps):
            self.notes["unplaced"] += 1
        for step in steps:
            if step.stage is not None and self.readers.mapping.places and step.stage not in self.readers.mapping.places:
                self.notes[f"stage {step.stage}"] += 1

    def _described(self, cells: Cells, deal: str, events: list[DealFact]) -> list[DealFact]:
        """Name, amount and the like hold from the row's last change on, where it is told; else from its last event."""
        said = _description(cells)
        if not said:
            return events
        changed = cells.when(cells.mapping.columns.modified)
        if changed is not None:
            return [*events, _told(EventType.CHANGED, deal, "", changed.first, said)]
        last = max(range(len(events)), key=lambda number: (events[number].time, number))
        events[last].data.update(said)
        return events


def _undated(mapping: Mapping, deal: str) -> RowFault:
    """Of an open deal: its closing date, if there is one, only says when it is expected to end."""
    columns = mapping.columns
    for column in (columns.created, *mapping.stage_dates.values(), columns.entered):
        if column:
            return RowFault(column, "", "is empty, as all dates of the row: nothing says when; fill it in")
    text = "has no date, and the mapping names no column of one for open deals: created or entered"
    return RowFault(columns.deal, deal, text)


def _description(cells: Cells) -> dict[str, Any]:
    columns = cells.mapping.columns
    outcome = cells.outcome()
    said: dict[str, Any] = {
        "name": cells.text(columns.name),
        "amount": cells.amount(),
        "currency": cells.text(columns.currency)[:12],
    }
    if outcome is not None and outcome.outcome is StageOutcome.LOST:
        said["reason"] = cells.text(columns.reason)
    elif (outcome is None or outcome.outcome is StageOutcome.OPEN) and cells.mapping.shape is not Shape.CHANGES:
        said["expected_close"] = cells.day(columns.closed)
    return {field: value for field, value in said.items() if value}


def _check(steps: list[RowStep], instants: list[int], mapping: Mapping) -> None:
    """A closing of the row's own column ends the story: what came later would open the deal again for ever."""
    for step, instant in zip(steps, instants, strict=True):
        if step.last:
            later = [s for s, at in zip(steps, instants, strict=True) if at > instant and s.stage is not None]
            if later:
                text = f"lies before the deal came to {later[0].stage} ({later[0].column}); mend one of the two"
                raise RowFault(step.column, moment(instant).isoformat(), text)


def _event(deal: str, pipeline: str | None, step: RowStep, instant: int) -> DealFact:
    data: dict[str, Any] = {}
    if pipeline:
        data["pipeline"] = pipeline
    if step.stage is not None:
        data["stage"] = step.stage
        if step.exact:
            data["entered_at"] = iso(moment(instant))
    return _told(step.type, deal, step.stage or "", instant, data)


def _told(kind: EventType, deal: str, stage: str, instant: int, data: dict[str, Any]) -> DealFact:
    """Known by what it says, and not by the file that it stands in."""
    content = "\x00".join((deal, kind.value, stage, str(instant)))
    number = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return DealFact(kind, f"import-{number}", deal, moment(instant), data)
