"""Collects since when what is known of stages changes: their limits are learned, and their rules evaluated, again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from shared.flow.visits import Visit, WithdrawnVisit

Stage = tuple[str, str]


def stage_of(visit: Visit) -> Stage:
    """The stage that it is a stay in."""
    return visit.pipeline, visit.stage


# Later than every event.
_NEVER = 2**63


class StageMarks:
    """The first change of each of the `watched` stages."""

    def __init__(self, watched: Iterable[Stage]) -> None:
        self._since = dict.fromkeys(watched, _NEVER)

    @property
    def since(self) -> dict[Stage, int]:
        """By (pipeline, stage), of those that change."""
        return {stage: first for stage, first in self._since.items() if first != _NEVER}

    def add(self, visits: Iterable[Visit], withdrawn: Collection[WithdrawnVisit], first: int) -> None:
        """What is known of these visits of a deal changes from an instant on."""
        since = self._since
        for visit in chain(visits, (one.visit for one in withdrawn)) if withdrawn else visits:
            stage = visit.pipeline, visit.stage
            # Never of a stage that is not watched.
            if first < since.get(stage, first):
                since[stage] = first
