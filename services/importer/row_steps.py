"""The steps of a deal in a row, and their instants if the row has only days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.importer.dates import DateSpan
from shared.contracts.events import EventType


class RowStep(NamedTuple):
    """One step of a deal, and the column that says when.

    `exact`: the deal moved then, rather than being seen there. `last`: a closing that nothing may follow.
    """

    type: EventType
    when: DateSpan
    column: str
    stage: str | None = None
    exact: bool = False
    last: bool = False


def instants_of(steps: list[RowStep], ranks: Mapping[str, int]) -> list[int]:
    """The instant of each step, in microseconds; `steps` are in the order of the shape, `ranks` order the stages.

    1. A day means its start in the table's zone, plus a microsecond for each stage before this one in the order;
       closings come after all stages.
    2. A day comes after every exact time of the same day that the row has before it.
    3. Of two moves at one instant, the later in the shape comes a microsecond later; a closing at that instant comes
       after them.
    """
    found: list[int] = []
    moves: list[tuple[int, RowStep]] = []
    for step in steps:
        if step.when.is_whole_day:
            same_day = [
                at + _is_move(other)
                for at, other in zip(found, steps, strict=False)
                if step.when.first <= at < step.when.end
            ]
            at = max([step.when.first + _rank(step, ranks), *same_day])
        else:
            at = _exact_instant(step, moves)
        found.append(at)
        if _is_move(step):
            moves.append((at, step))
    return found


def _exact_instant(step: RowStep, moves: list[tuple[int, RowStep]]) -> int:
    """`moves` are the moves before this step, with their instants."""
    at = step.when.first
    if not _is_move(step):
        return max([at, *(moved for moved, other in moves if other.when.first == at)])
    used = {moved for moved, _ in moves}
    while at in used:
        at += 1
    return at


def _is_move(step: RowStep) -> bool:
    return step.type is EventType.MOVED


def _rank(step: RowStep, ranks: Mapping[str, int]) -> int:
    if step.type is EventType.CREATED:
        return 0
    return ranks.get(step.stage or "", len(ranks)) if _is_move(step) else len(ranks) + 1
