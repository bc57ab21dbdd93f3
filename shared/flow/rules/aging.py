"""`aging`: at least `count` open visits are older than `limit` on the stage's clock."""

from __future__ import annotations

from shared.contracts.measures import Measure
from shared.flow.rules.rule import OLDER, Rule, Span
from shared.flow.visits import Visit


class Aging(Rule):
    """A visit counts from `entered + limit` until it is left."""

    kind = "aging"
    measure = Measure.OVER_AGE
    cause_charts = OLDER

    @property
    def threshold(self) -> int:
        return int(self.rule.count)

    def spans(self, visit: Visit) -> list[Span]:
        due = self.clock.due(visit.entered, self.limit or 0)
        return [(due, visit.left)] if visit.left is None or due < visit.left else []

    def breached(self, count: int) -> bool:
        return count >= self.threshold
