"""A row for each change of stage. Rows may be in any order: each gives only its own change."""

from __future__ import annotations

from services.importer.readers import Cells, RowFault
from services.importer.row_steps import RowStep
from shared.contracts.events import EventType
from shared.policy import StageOutcome


def steps(cells: Cells) -> list[RowStep]:
    """Raises RowFault."""
    columns = cells.mapping.columns
    stage, outcome, when = cells.stage(), cells.outcome(), cells.past_date(columns.time)
    if columns.time is None or when is None:
        raise RowFault(columns.time or columns.deal, "", "is empty; fill in when the deal moved")
    if outcome is None or stage is None:
        raise RowFault(columns.of_stage[0], "", "is empty; fill in the stage that the deal moved to")
    created = cells.past_date(columns.created)
    begun = [] if created is None or columns.created is None else [RowStep(EventType.CREATED, created, columns.created)]
    if outcome.outcome is StageOutcome.OPEN:
        return [*begun, RowStep(EventType.MOVED, when, columns.time, stage.id, exact=True)]
    kind = EventType.WON if outcome.outcome is StageOutcome.WON else EventType.LOST
    return [*begun, RowStep(kind, when, columns.time)]
