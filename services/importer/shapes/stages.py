"""A row for each deal, with a date for each stage. A date before that of an earlier stage is rework, and is kept."""

from __future__ import annotations

from services.importer.readers import Cells
from services.importer.row_steps import RowStep
from services.importer.shapes.closing import closing
from shared.contracts.events import EventType
from shared.policy import StageOutcome

_TYPES = {StageOutcome.OPEN: EventType.MOVED, StageOutcome.WON: EventType.WON, StageOutcome.LOST: EventType.LOST}


def steps(cells: Cells) -> list[RowStep]:
    """Raises RowFault."""
    columns = cells.mapping.columns
    found: list[RowStep] = []
    if (created := cells.past_date(columns.created)) is not None and columns.created:
        found.append(RowStep(EventType.CREATED, created, columns.created))
    closed = False
    for word, column in cells.mapping.stage_date_columns:
        entered = cells.past_date(column)
        if entered is not None:
            stage = cells.stage_called(word)
            is_open = stage.outcome is StageOutcome.OPEN
            closed = closed or not is_open
            found.append(RowStep(_TYPES[stage.outcome], entered, column, stage.id if is_open else None, exact=is_open))
    return found if closed else found + closing(cells)
