"""What each kind of problem provides for its readers: wording, and what its charts show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from shared.contracts.measures import Column, Measure
from shared.contracts.problems import BottleneckDetail, CordDetail, Evidence, ProblemData, SignalDetail
from shared.policy.model import RulePolicy, SilenceRule
from shared.wording.money import MoneyAtStake, at_stake
from shared.wording.quantities import CALENDAR_DAY, deals

# What the history says of the opening where weekly charts find it: nobody knows when it began.
FOUND = "The problem was found"
Rule = TypeVar("Rule", bound=RulePolicy | SilenceRule)


class DealOrder(StrEnum):
    """Which deals of the evidence come first, in a caption's words."""

    LONGEST_IN_STAGE = "longest in the stage"
    LONGEST_WITHOUT_PROGRESS = "without progress for longest"


@dataclass(frozen=True)
class ChartSpec:
    """What the chart of a kind's count shows."""

    # The measure that the rule compares with its threshold.
    measure: Measure
    # What the measure counts: `deals over the limit`
    unit: str
    # Name of the line at the threshold: `limit`
    threshold_name: str
    # Whether the chart of ages has a line at the rule's limit.
    has_age_limit: bool = False

    @property
    def counts_all(self) -> bool:
        """Whether every deal in the stage counts."""
        return self.measure is Measure.WIP


@dataclass(frozen=True)
class ProblemFacts:
    """What the sentences about a problem need. `count`: the peak once the problem is over."""

    stage: str
    count: int
    threshold: int
    # `21 days`; empty where the rule has no limit on age.
    limit: str
    is_over: bool
    # Of kinds on measures: what the weeks show, and openings in 91 days that chance alone brings.
    signal: SignalDetail | None = None
    chance: float | None = None
    # Of aging-learned: how many deals are usually over the limit.
    usual: float | None = None
    bottleneck: BottleneckDetail | None = None
    # Of silence: when the source was last heard, in words.
    since: str = ""
    # Of a cord: what was seen.
    cord: CordDetail | None = None
    # Of counts with a limit: how many deals there usually are, in words, where the sentence is to say so.
    usually: str = ""
    # Of kinds on measures: seconds of a day on the clock of the measure.
    day_seconds: int = CALENDAR_DAY

    @property
    def deals(self) -> str:
        """`12 deals`"""
        return deals(self.count)

    @property
    def at_most(self) -> str:
        """`12 deals`, `At most 12 deals`"""
        return f"At most {self.deals}" if self.is_over else self.deals

    @property
    def beside(self) -> str:
        """What is usual, beside the count: `, usually 3,`. After an age it would read as one. Empty: not known."""
        return f", usually {self.usually}," if self.usually else ""

    @property
    def have(self) -> str:
        return "had" if self.is_over else "has" if self.count == 1 else "have"

    @property
    def are(self) -> str:
        if self.is_over:
            return "was" if self.count == 1 else "were"
        return "is" if self.count == 1 else "are"

    @property
    def holds(self) -> str:
        """`Proposal holds 12 deals`, `Proposal held at most 12 deals`"""
        return f"{self.stage} {'held at most' if self.is_over else 'holds'} {self.deals}"


class KindWording(ABC, Generic[Rule]):
    """One kind of problem. Titles are stable over a ticket's life: they are the subject of its thread of mails."""

    # In lists and filters: `waiting too long`
    label: str
    # None: charts of this kind are not known.
    chart: ClassVar[ChartSpec | None]
    deal_order: ClassVar[DealOrder] = DealOrder.LONGEST_IN_STAGE
    # Whether too little work is the trouble: then more of it is better.
    lacks_work: ClassVar[bool] = False
    # Before the peak: `at most it was 12`
    extreme: ClassVar[str] = "at most"
    # What the count is again once the condition no longer holds, before `since`.
    eased: ClassVar[str] = "Below the limit"
    # What is said of a cause whose class is unknown, and not for want of weeks; empty: nothing.
    unknown_cause: ClassVar[str] = "The cause is not known."
    # What the problem asks for while the class of its cause is unknown.
    look_first: ClassVar[str] = "Look at these deals before you change anything."
    # Whether weekly charts find it, so that it opens and clears at the end of a week.
    is_weekly: ClassVar[bool] = False
    # Whether the sentence itself says what is usual, and how often chance alone does it.
    says_chance: ClassVar[bool] = False
    # Before the instant of the opening, in the ticket and its mails.
    began: ClassVar[str] = "It began"
    # What its history says of the opening; empty: as for most kinds.
    opened: ClassVar[str] = ""
    # Whether only a person, or the study of a plan, ends its problems: no count does.
    ends_by_person: ClassVar[bool] = False
    # Why the evidence has no deals.
    no_deals: ClassVar[str] = "No deal is behind this problem any more."

    @abstractmethod
    def title(self, place: str, measure: Column | None) -> str:
        """`Deals wait too long in Proposal`. `place`: the stage, else the pipeline or the source."""

    @abstractmethod
    def sentence(self, facts: ProblemFacts) -> str:
        """The problem in numbers, without a full stop."""

    @abstractmethod
    def finding(self, facts: ProblemFacts) -> str:
        """What the chart shows, as its title."""

    @abstractmethod
    def watched(self, rule: Rule, day: str) -> str:
        """What a rule looks for. `day`: what a day is on the stage's clock, `day` or `working day`."""

    def asks_for(self, problem: ProblemData, day_seconds: int) -> str | None:
        """What a problem asks for, where its own facts say more than the class of its cause; else None."""
        return None

    def cause_facts(self, problem: ProblemData) -> str:
        """What the problem's own facts add to what the class of its cause asks for, as sentences; empty: nothing."""
        return ""

    def learned(self, threshold: int) -> str:
        """What opens a problem whose limit no policy names, as sentences; empty: the policy names it."""
        return ""

    def stake(self, evidence: Evidence | None) -> MoneyAtStake:
        """What the deals of a problem are worth; where deals are missing, none is at stake."""
        return at_stake((), 0) if self.lacks_work or evidence is None else at_stake(evidence.deals, evidence.total)

    def counted(self, count: int) -> str:
        """What the count of a problem counts, where no sentence says it."""
        return deals(count)

    def breached(self, count: int, threshold: int) -> bool:
        """Whether a count is one that the rule calls a problem."""
        return count >= threshold

    def wip_limit(self, rule: Rule) -> int | None:
        """The largest number of deals that the rule allows in the stage; None without such a limit."""
        return None
