"""`wip-high`: more than `max` deals are in the stage, without a break for `hold`."""

from __future__ import annotations

from services.detector.flow import Visit
from services.detector.rules.shape import Judgement, Span
from shared.contracts.measures import Measure


class WipHigh(Judgement):
    """A visit counts as long as it lasts."""

    kind = "wip-high"
    measure = Measure.WIP

    @property
    def threshold(self) -> int:
        return int(self.rule.max)

    def spans(self, visit: Visit) -> list[Span]:
        return [(visit.entered, visit.left)]

    def breached(self, count: int) -> bool:
        return count > self.threshold
