"""The steps of a deal that a row tells of, and their instants where only days are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.importer.dates import When
from shared.contracts.events import EventType


class RowStep(NamedTuple):
    """Something that became true of a deal, by the column that says when.

    `exact`: a move that was made then, not only seen then. `last`: a closing after which nothing may come.
    """

    type: EventType
    when: When
    column: str
    stage: str | None = None
    exact: bool = False
    last: bool = False


def timed(steps: list[RowStep], places: Mapping[str, int]) -> list[int]:
    """The instant of each step, in microseconds; the steps are in the order of the shape.

    A day means its start in the table's zone. Within it a stage comes as many microseconds later as stages come before
    it in the order, closing after all of them, and each after what the row tells exactly of the same day. Of two moves
    that are told for one instant the later in the shape comes a microsecond later, and a closing of that instant is
    not before them.
    """
    found: list[int] = []
    for step in steps:
        begun = [(at, other) for at, other in zip(found, steps, strict=False)]
        if step.when.whole_day:
            within = [at + _moves(other) for at, other in begun if step.when.first <= at < step.when.end]
            found.append(max([step.when.first + _place(step, places), *within]))
        else:
            found.append(_exact(step, [(at, other) for at, other in begun if _moves(other)]))
    return found


def _exact(step: RowStep, moves: list[tuple[int, RowStep]]) -> int:
    """The instant of a step that is told exactly; `moves` are those before it, with their instants."""
    at = step.when.first
    if not _moves(step):
        return max([at, *(moved for moved, other in moves if other.when.first == at)])
    taken = {moved for moved, _ in moves}
    while at in taken:
        at += 1
    return at


def _moves(step: RowStep) -> bool:
    return step.type is EventType.MOVED


def _place(step: RowStep, places: Mapping[str, int]) -> int:
    if step.type is EventType.CREATED:
        return 0
    return places.get(step.stage or "", len(places)) if _moves(step) else len(places) + 1
