"""`flow.now` (compacted): how a stage stands now. Record key: pipeline/stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Envelope, Message, Moment, Name, Words
from shared.contracts.problems import Evidence

# Of more open deals than this, the oldest are published.
MAX_OPEN = 500


class RuleNow(Message):
    """How one rule of the stage stands. `key`: of the problem that it finds.

    `breached`: whether the condition is true. While it stays so, an open problem clears at `clears_at`, and a problem
    that is none yet opens at `opens_at`. `evidence`: of an open problem in mode `active`, with all its deals.
    """

    key: Name
    kind: Name
    count: Count = Field(description="deals that meet the condition: over age, in work, or stalled")
    threshold: Count = Field(description="`count` of aging and stalled, `max` or `min` of WIP rules")
    breached: bool
    since: Moment | None = Field(None, description="since when `breached` is as it is; null: since the beginning")
    problem_opened_at: Moment | None = Field(None, description="null: no problem is open")
    peak: Count | None = Field(
        None, description="of the open problem until now: the greatest count, for `wip-low` the least"
    )
    opens_at: Moment | None = None
    clears_at: Moment | None = None
    evidence: Evidence | None = None


class StayCurve(Message):
    """How long deals stay in the stage: the Kaplan-Meier estimate of the visits entered in the 180 days before `at`.

    Seconds of the stage's clock. `steps`: (time, share of visits that last longer), in order.
    """

    at: Moment = Field(description="the start of the week")
    finished: Count
    open: Count
    limit_seconds: FiniteFloat | None = Field(
        None, description="the learned limit, which 15 % of visits exceed; null: more exceed every time"
    )
    median_seconds: FiniteFloat | None = Field(
        None, description="the least time that at most half of the visits exceed; null: more exceed every time"
    )
    steps: tuple[tuple[FiniteFloat, FiniteFloat], ...]


class NowData(Message):
    """One stage as of the judgement time `as_of`.

    Published where something of it has changed, about every five seconds at most. One partition keeps all in order, and
    all that changed is published at once: a later `as_of` of any stage says that every other is still as it was
    published last.
    """

    pipeline: Name
    stage: Name
    as_of: Moment
    wip: Count
    oldest_entered_at: Moment | None = Field(None, description="when the oldest deal entered the stage; null: no deal")
    rules: tuple[RuleNow, ...] = ()
    open_since: tuple[Moment, ...] = Field(
        (),
        max_length=MAX_OPEN,
        description="when each open deal entered the stage, the oldest first; of more than 500 the 500 oldest",
    )
    stays: StayCurve | None = Field(None, description="null: fewer than 30 visits are finished")

    @property
    def key(self) -> str:
        return f"{self.pipeline}/{self.stage}"

    def rule(self, key: str) -> RuleNow | None:
        """The rule that finds the problem of this key."""
        return next((rule for rule in self.rules if rule.key == key), None)


class NowEvent(Envelope[NowData]):
    """How a stage stands now. Topic: `flow.now`."""

    type: Literal["andon.stage.now"] = "andon.stage.now"
    subject: Words
