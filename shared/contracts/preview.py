"""What another policy would have found: the question that pages ask the detector over HTTP, and its answer.

Not on a topic: the answer depends on the whole history, which only the detector has.
"""

from __future__ import annotations

from pydantic import Field, FiniteFloat

from shared.contracts.envelope import Count, Message, Moment, Name, OptionalName, Words
from shared.contracts.measures import Column
from shared.contracts.problems import ProblemInterval

# Quarters are 91 days, counted back from the instant of the answer.
QUARTERS = 4
PATH = "/preview"


class PreviewRequest(Message):
    """`policy`: the whole policy file with other rules, stages or clocks."""

    pipeline: Name
    policy: Words = Field(max_length=1_000_000)


class PreviewDeal(Message):
    """A deal that the rule counted when the problem opened, `since` an instant. Never names an owner."""

    deal: Name
    name: Words | None = None
    url: Words | None = None
    since: Moment


class PreviewProblem(ProblemInterval):
    """`total`: deals that the rule counted when it opened, null where they were not looked up; `deals`: the first."""

    total: Count | None = None
    deals: tuple[PreviewDeal, ...] = ()


class PreviewedRule(Message):
    """What one rule finds. `problems`: the newest of the shown quarters, in order of opening.

    `quarters`: openings in each of them, the oldest first. `open_share`: of their time, in which a problem was open.
    """

    quarters: tuple[Count, ...]
    open_share: FiniteFloat
    problems: tuple[PreviewProblem, ...] = ()
    per_quarter: FiniteFloat | None = Field(
        None, description="openings in 91 days by chance alone, at most; null: the log is too short"
    )
    usual: FiniteFloat | None = Field(None, description="mean of the count over the past year")
    exceed: FiniteFloat | None = Field(None, description="share of deals expected to stay longer than the limit")
    suggested: Count | None = Field(
        None, description="the count that chance alone opens at most once in ten quarters; of aging-learned, as learned"
    )
    is_learned: bool = Field(False, description="`suggested` is what the rule has learned: it is in force already")
    is_usual: bool = Field(False, description="the stage is usually in the state that the rule calls a problem")
    weeks: Count | None = Field(None, description="of a rule on a chart: how many weeks could be judged")


class RulePreview(Message):
    """One rule, under the policy in force and under the other one; null where that has no such rule, or has it off.

    `stage`: empty for a chart of the pipeline. `measure`: of a rule on a chart.
    """

    key: Name
    kind: Name
    stage: OptionalName
    measure: Column | None = None
    before: PreviewedRule | None = None
    after: PreviewedRule | None = None


class PreviewAnswer(Message):
    """`as_of`: judgement time of all numbers. `since`: the start of the shown quarters. `visits`: in the pipeline."""

    as_of: Moment
    since: Moment
    first_event: Moment
    visits: Count
    rules: tuple[RulePreview, ...] = ()


class PreviewRefusal(Message):
    """Why there is no answer: each reason with its way out."""

    reasons: tuple[Words, ...]
