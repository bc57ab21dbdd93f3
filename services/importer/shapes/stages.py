"""A row for each deal, with a date for each stage. A date that goes backwards is rework and stays."""

from __future__ import annotations

from services.importer.readers import Cells
from services.importer.shapes.closing import closing
from services.importer.steps import Step
from shared.contracts.events import EventType
from shared.policy import Outcome

_TYPES = {Outcome.OPEN: EventType.MOVED, Outcome.WON: EventType.WON, Outcome.LOST: EventType.LOST}


def steps(cells: Cells) -> list[Step]:
    """Raises RowFault."""
    columns = cells.mapping.columns
    found: list[Step] = []
    if (created := cells.when(columns.created)) is not None and columns.created:
        found.append(Step(EventType.CREATED, created, columns.created))
    closed = False
    for name, column in cells.mapping.stage_dates.items():
        entered = cells.when(column)
        if entered is not None:
            stage = cells.named(name)
            open_one = stage.outcome is Outcome.OPEN
            closed = closed or not open_one
            found.append(Step(_TYPES[stage.outcome], entered, column, stage.id if open_one else None, exact=open_one))
    return found if closed else found + closing(cells)
