"""`wip-high`: more than `max` deals are in the stage for `hold` without a break."""

from __future__ import annotations

from shared.contracts.measures import Measure
from shared.flow.rules.rule import Rule, Span
from shared.flow.statistics.columns import Column
from shared.flow.visits import Visit
from shared.policy.watchable import Side


class WipHigh(Rule):
    """A visit counts while it lasts."""

    kind = "wip-high"
    measure = Measure.WIP
    cause_charts = ((Column.WIP_END, Side.HIGH),)

    @property
    def threshold(self) -> int:
        return int(self.rule.max)

    @property
    def crossed(self) -> int:
        return self.threshold + 1

    def spans(self, visit: Visit) -> list[Span]:
        return [(visit.entered, visit.left)]

    def breached(self, count: int) -> bool:
        return count > self.threshold
