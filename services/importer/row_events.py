"""Turns rows into events. Pure: the same row and mapping give the same events with the same ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.importer.footers import is_footer
from services.importer.mapping import Mapping, Shape
from services.importer.readers import Cells, RowFault, RowReader
from services.importer.row_steps import RowStep, instants_of
from services.importer.shapes import changes, last_stage, stages
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
MAX_CURRENCY_CHARACTERS = 12


@dataclass
class RowEvents:
    """Row by row. `notes` counts skipped rows, open deals without a stage, and stages that the order does not have."""

    reader: RowReader
    notes: Counter[str]

    @staticmethod
    def of_table(mapping: Mapping, columns: list[str], now: datetime) -> RowEvents:
        return RowEvents(RowReader(mapping, columns, now), Counter())

    def of_row(self, row: Row) -> list[DealFact]:
        """The events of a row; none where the mapping skips it. Raises RowFault."""
        mapping = self.reader.mapping
        cells = self.reader.read(row)
        if is_footer(row, self.reader.columns):
            self.notes["footers"] += 1
            return []
        deal = cells.deal()
        if cells.is_ignored(cells.stage()):
            self.notes["ignored"] += 1
            return []
        steps = _SHAPES[mapping.shape](cells)
        if not steps:
            raise _undated_fault(mapping, deal)
        instants = instants_of(steps, mapping.stage_ranks)
        if len(steps) > 1:
            _check_closing_follows_creation(steps, instants)
            _check_closing_is_last(steps, instants)
        self._count_notes(steps, instants)
        word = cells.text(mapping.columns.pipeline)
        pipeline = mapping.pipelines.get(word, word) or mapping.pipeline
        events = [_step_event(deal, pipeline, *pair) for pair in zip(steps, instants, strict=True)]
        return _with_description(cells, deal, events, self.notes)

    def _count_notes(self, steps: list[RowStep], instants: list[int]) -> None:
        ranks = self.reader.mapping.stage_ranks
        created = [at for step, at in zip(steps, instants, strict=True) if step.type is EventType.CREATED]
        if created and min(instants) < created[0]:
            self.notes["early"] += 1
        if all(step.type is EventType.CREATED and step.stage is None for step in steps):
            self.notes["unplaced"] += 1
        for step in steps:
            if step.stage is not None and ranks and step.stage not in ranks:
                self.notes[f"stage {step.stage}"] += 1


def _undated_fault(mapping: Mapping, deal: str) -> RowFault:
    """For an open deal. A closing date alone only says when it is expected to close."""
    columns = mapping.columns
    for column in (columns.created, *(column for _, column in mapping.stage_date_columns), columns.entered):
        if column:
            return RowFault(column, "", "is empty, as are all dates of the row; fill in when it was")
    text = "has no date, and the mapping names no date column for open deals: created or entered"
    return RowFault(columns.deal, deal, text)


def _check_closing_is_last(steps: list[RowStep], instants: list[int]) -> None:
    """A closing in its own column ends the deal: a later step would reopen it for good."""
    for step, instant in zip(steps, instants, strict=True):
        if step.last:
            later = [s for s, at in zip(steps, instants, strict=True) if at > instant and s.stage is not None]
            if later:
                text = f"is before the deal entered {later[0].stage} ({later[0].column}); correct one of the two"
                raise RowFault(step.column, moment(instant).isoformat(), text)


def _check_closing_follows_creation(steps: list[RowStep], instants: list[int]) -> None:
    created = {at: step for step, at in zip(steps, instants, strict=True) if step.type is EventType.CREATED}
    for step, at in zip(steps, instants, strict=True):
        if created and step.type in (EventType.WON, EventType.LOST) and at < min(created):
            text = f"is before the deal was created ({created[min(created)].column}); correct one of the two"
            raise RowFault(step.column, moment(at).isoformat(), text)


def _with_description(cells: Cells, deal: str, events: list[DealFact], notes: Counter[str]) -> list[DealFact]:
    """Name, amount and such apply from the row's last change on if it has one, else from its last event on."""
    description = _description(cells, notes)
    if not description:
        return events
    changed = cells.past_date(cells.mapping.columns.modified)
    if changed is not None:
        event_id = _event_id(EventType.CHANGED, deal, "", changed.first)
        return [*events, DealFact(EventType.CHANGED, event_id, deal, moment(changed.first), description)]
    last = max(range(len(events)), key=lambda number: (events[number].time, number))
    events[last].data.update(description)
    return events


def _description(cells: Cells, notes: Counter[str]) -> dict[str, Any]:
    columns = cells.mapping.columns
    outcome = cells.outcome()
    fields: dict[str, Any] = {
        "name": cells.free_text(columns.name),
        "amount": _optional(cells.amount, "amount", notes),
        "currency": cells.free_text(columns.currency)[:MAX_CURRENCY_CHARACTERS],
    }
    if outcome is not None and outcome.outcome is StageOutcome.LOST:
        fields["reason"] = cells.free_text(columns.reason)
    elif (outcome is None or outcome.outcome is StageOutcome.OPEN) and cells.mapping.shape is not Shape.CHANGES:
        fields["expected_close"] = _optional(
            lambda: cells.day(columns.expected or columns.closed), "expected close", notes
        )
    return {field: value for field, value in fields.items() if value}


def _optional(read: Callable[[], str | None], field: str, notes: Counter[str]) -> str | None:
    """None if the value cannot be read: a field that no rule needs must not cost the row."""
    try:
        return read()
    except RowFault:
        notes[f"without {field}"] += 1
        return None


def _step_event(deal: str, pipeline: str | None, step: RowStep, instant: int) -> DealFact:
    data: dict[str, Any] = {}
    time = moment(instant)
    if pipeline:
        data["pipeline"] = pipeline
    if step.stage is not None:
        data["stage"] = step.stage
        if step.exact:
            data["entered_at"] = iso(time)
    return DealFact(step.type, _event_id(step.type, deal, step.stage or "", instant), deal, time, data)


def _event_id(kind: EventType, deal: str, stage: str, instant: int) -> str:
    """It comes from the content, not the file: the same row in another export gives the same event."""
    content = f"{deal}\x00{kind}\x00{stage}\x00{instant}"
    return f"import-{hashlib.blake2b(content.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"
