"""Collects since when what is known of stages changes: their limits are learned, and their rules evaluated, again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

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

    def add(self, visits: Iterable[Visit], withdrawn: Iterable[WithdrawnVisit], first: int) -> None:
        """What is known of these visits of a deal changes from an instant on."""
        for visit in visits:
            self._add(visit, first)
        for one in withdrawn:
            self._add(one.visit, first)

    def _add(self, visit: Visit, first: int) -> None:
        stage = stage_of(visit)
        if stage in self._watched and first < self.since.get(stage, first + 1):
            self.since[stage] = first
