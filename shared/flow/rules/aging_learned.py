"""`aging-learned`: `aging` with a limit and a count that are learned from the stage's own past, anew each week."""

from __future__ import annotations

from shared.flow.calendars import AgeClocks
from shared.flow.rules.aging import Aging
from shared.policy import AgingLearnedRule


class AgingLearned(Aging):
    """The rule of one stage under one learned version. It clears at a lower count than it opens at.

    `limit`: microseconds of the stage's clock. `count`: opens a problem. `clears_at`: the usual count, which ends it.
    """

    kind = "aging-learned"
    cause_charts = ()

    def __init__(
        self,
        pipeline: str,
        stage: str,
        rule: AgingLearnedRule,
        clocks: AgeClocks,
        *,
        limit: int,
        count: int,
        clears_at: int,
    ) -> None:
        self.pipeline, self.stage, self.rule = pipeline, stage, rule
        self.clock = clocks.of(pipeline, stage)
        self.limit, self._count, self._clears_at = limit, count, clears_at
        self.hold, self.clear_hold = 0, rule.clear_hold.micros()

    @property
    def limit_text(self) -> None:
        """The policy has none."""

    @property
    def threshold(self) -> int:
        return self._count

    def recovered(self, count: int) -> bool:
        return count <= self._clears_at
