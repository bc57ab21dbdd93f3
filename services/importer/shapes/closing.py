"""How a row with one closing date ends its deal."""

from __future__ import annotations

from services.importer.readers import Cells, RowFault, StageCell
from services.importer.row_steps import RowStep
from shared.contracts.events import EventType
from shared.policy import StageOutcome


def closing(cells: Cells) -> list[RowStep]:
    """The closing step; none while the deal is open. Raises RowFault where no date says when it closed."""
    outcome = cells.outcome()
    if outcome is None or outcome.outcome is StageOutcome.OPEN:
        return []
    columns = cells.mapping.columns
    is_won = outcome.outcome is StageOutcome.WON
    own = columns.won_at if is_won else columns.lost_at
    # If closings have their own columns, entering the last open stage is not a closing.
    entered = None if columns.won_at or columns.lost_at else columns.entered
    for column in (own, columns.closed, entered):
        if column and (when := cells.past_date(column)) is not None:
            kind = EventType.WON if is_won else EventType.LOST
            return [RowStep(kind, when, column, last=True)]
    raise _undated_closing(cells, outcome)


def _undated_closing(cells: Cells, outcome: StageCell) -> RowFault:
    columns = cells.mapping.columns
    own = columns.won_at if outcome.outcome is StageOutcome.WON else columns.lost_at
    column = own or columns.closed or columns.entered
    if column is not None:
        return RowFault(column, "", f"is empty, but the deal is {outcome.word}: fill in when it closed")
    by_outcome = columns.outcome if cells.text(columns.outcome) == outcome.word else None
    column = by_outcome or next(iter(columns.of_stage), columns.deal)
    return RowFault(
        column, outcome.word, "is a closing, but no column says when: name it in the mapping: columns, closed"
    )
