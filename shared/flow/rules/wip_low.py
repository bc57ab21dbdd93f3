"""`wip-low`: fewer than `min` deals are in the stage for `hold` without a break (starvation)."""

from __future__ import annotations

from shared.contracts.measures import Measure
from shared.flow.rules.rule import Rule, Span
from shared.flow.statistics.columns import Column
from shared.flow.visits import Visit
from shared.policy.watchable import Side


class WipLow(Rule):
    """A visit counts while it lasts. Evaluation begins at the stage's first visit."""

    kind = "wip-low"
    measure = Measure.WIP
    cause_charts = ((Column.WIP_END, Side.LOW),)
    starves = True

    @property
    def threshold(self) -> int:
        return int(self.rule.min)

    def spans(self, visit: Visit) -> list[Span]:
        return [(visit.entered, visit.left)]

    def breached(self, count: int) -> bool:
        return count < self.threshold
