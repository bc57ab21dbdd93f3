"""A change on simulated weeks: what the product concludes of it, and what the XmR marks of the draft rule say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.segments import BASELINE_POINTS
from shared.flow.statistics.verification import StudiedChange, Verdict, Verification, verify
from shared.policy.watchable import Side
from tests.simulate.alarms import marks
from tests.simulate.shapes import AR75, SHAPES, WeekShape

# A memory this long is the longest for which false verdicts are promised.
STUDIED_SHAPES = [*SHAPES, AR75]
# Histories of each cell.
HISTORIES = 2500


def studied_shape(name: str) -> WeekShape:
    return next(shape for shape in STUDIED_SHAPES if shape.name == name)


@dataclass(frozen=True)
class SimulatedChange:
    """`weeks`: oldest first; the first `change` of them lie before the change."""

    shape: WeekShape
    weeks: Sequence[int]
    change: int
    ground: Ground = field(default_factory=Ground)

    def verify(self, **fields: Any) -> Verification:
        """What the product concludes. `fields`: more of what is studied."""
        higher, after = self.shape.side is Side.LOW, self.weeks[self.change :]
        return verify(StudiedChange(higher, self.weeks[: self.change], after, self.ground, **fields))

    @property
    def is_marked(self) -> bool:
        """The draft rule: within 13 weeks a mark on the good side of the limits of the first 20 weeks."""
        good = Side.LOW if self.shape.side is Side.HIGH else Side.HIGH
        marked = marks(self.weeks[: self.change + WINDOW], good)
        return any(marked[self.change - BASELINE_POINTS :])


def is_verified(found: Verification) -> bool:
    return found.conclusion.verdict is Verdict.VERIFIED


def moved(weeks: Sequence[int], shape: WeekShape, worse: float, since: int, until: int | None = None) -> list[int]:
    """The weeks with those from `since` up to `until` moved by `worse` standard deviations to the worse."""
    end, step = len(weeks) if until is None else until, shape.worse_by(worse)
    return [value + step if since <= week < end else value for week, value in enumerate(weeks)]
