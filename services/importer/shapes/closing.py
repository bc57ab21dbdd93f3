"""How a row with one closing date ends its deal."""

from __future__ import annotations

from services.importer.readers import Cells, RowFault
from services.importer.steps import RowStep
from shared.contracts.events import EventType
from shared.policy import StageOutcome


def closing(cells: Cells) -> list[RowStep]:
    """The closing step, or none while the deal is open; raises RowFault where nothing says when it was closed."""
    outcome = cells.outcome()
    if outcome is None or outcome.outcome is StageOutcome.OPEN:
        return []
    columns = cells.mapping.columns
    for column in (columns.closed, columns.entered):
        if column and (when := cells.when(column)) is not None:
            kind = EventType.WON if outcome.outcome is StageOutcome.WON else EventType.LOST
            return [RowStep(kind, when, column, last=True)]
    column = columns.closed or columns.entered
    if column is None:
        by_outcome = columns.outcome if cells.text(columns.outcome) == outcome.word else None
        said = by_outcome or next(iter(columns.of_stage), columns.deal)
        raise RowFault(
            said, outcome.word, "is a closing, but no column says when: name it in the mapping: columns, closed"
        )
    raise RowFault(column, "", f"is empty, but the deal is {outcome.word}: fill in when it was closed")
