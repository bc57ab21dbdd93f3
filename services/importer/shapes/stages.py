"""A row for each deal, with a date for each stage. A date that goes backwards is rework and stays."""

from __future__ import annotations

from services.importer.readers import Cells
from services.importer.shapes.closing import closing
from services.importer.steps import RowStep
from shared.contracts.events import EventType
from shared.policy import StageOutcome

_TYPES = {StageOutcome.OPEN: EventType.MOVED, StageOutcome.WON: EventType.WON, StageOutcome.LOST: EventType.LOST}


def steps(cells: Cells) -> list[RowStep]:
    """Raises RowFault."""
    columns = cells.mapping.columns
    found: list[RowStep] = []
    if (created := cells.when(columns.created)) is not None and columns.created:
        found.append(RowStep(EventType.CREATED, created, columns.created))
    closed = False
    for name, column in cells.mapping.stage_dates.items():
        entered = cells.when(column)
        if entered is not None:
            stage = cells.named(name)
            open_one = stage.outcome is StageOutcome.OPEN
            closed = closed or not open_one
            found.append(
                RowStep(_TYPES[stage.outcome], entered, column, stage.id if open_one else None, exact=open_one)
            )
    return found if closed else found + closing(cells)
