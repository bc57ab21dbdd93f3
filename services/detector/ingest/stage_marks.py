"""Collects since when what is known of stages changes: their limits are learned, and their rules evaluated, again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from shared.flow.visits import Visit, WithdrawnVisit

Stage = tuple[str, str]


def stage_of(visit: Visit) -> Stage:
    """The stage that it is a stay in."""
    return visit.pipeline, visit.stage


class StageMarks:
    """The first change of each of the `watched` stages, in `since`, by (pipeline, stage)."""

    def __init__(self, watched: Collection[Stage]) -> None:
        self._watched = watched
        self.since: dict[Stage, int] = {}

    def add(self, visits: Iterable[Visit], withdrawn: Collection[WithdrawnVisit], first: int) -> None:
        """What is known of these visits of a deal changes from an instant on."""
        since = self.since
        for visit in chain(visits, (one.visit for one in withdrawn)) if withdrawn else visits:
            stage = visit.pipeline, visit.stage
            if first < since.get(stage, first + 1) and stage in self._watched:
                since[stage] = first
