"""A row for each deal with its present stage: its stages between creation and that stage are unknown."""

from __future__ import annotations

from services.importer.dates import DateSpan
from services.importer.readers import Cells, RowFault, StageCell
from services.importer.row_steps import RowStep
from services.importer.shapes.closing import closing
from shared.contracts.events import EventType
from shared.runtime.instants import micros


def steps(cells: Cells) -> list[RowStep]:
    """Raises RowFault."""
    ended = closing(cells)
    if ended:
        return [*_created(cells, cells.mapping.first_stage), *ended]
    stage = cells.stage()
    if stage is None:
        columns = cells.mapping.columns
        raise RowFault((columns.of_stage or (columns.deal,))[0], "", "is empty; fill in the stage that the deal is in")
    return _open(cells, stage)


def _open(cells: Cells, stage: StageCell) -> list[RowStep]:
    mapping = cells.mapping
    entered = cells.past_date(mapping.columns.entered)
    if entered is not None and mapping.columns.entered:
        moved = RowStep(EventType.MOVED, entered, mapping.columns.entered, stage.id, exact=True)
        return [*_created(cells, mapping.first_stage), moved]
    if stage.id == mapping.first_stage and (begun := _created(cells, stage.id)):
        return begun
    if mapping.exported_at is not None:
        # Leave out the creation: with one, the deal would seem to have entered the stage when it was seen there.
        seen = micros(mapping.exported_at)
        return [RowStep(EventType.MOVED, DateSpan(seen, seen), mapping.columns.of_stage[0], stage.id)]
    return _created(cells, None)


def _created(cells: Cells, stage: str | None) -> list[RowStep]:
    column = cells.mapping.columns.created
    when = cells.past_date(column)
    return [] if when is None or column is None else [RowStep(EventType.CREATED, when, column, stage)]
