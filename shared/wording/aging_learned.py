"""Wording of `aging-learned`: more deals are old than the stage's own past lets expect."""

from __future__ import annotations

from shared.contracts.measures import Column
from shared.policy.model import AgingLearnedRule
from shared.wording.kind import KindWording, ProblemFacts
from shared.wording.quantities import rounded


class AgingLearnedWording(KindWording[AgingLearnedRule]):
    label = "waiting longer than usual"
    chart = None
    says_chance = True

    def title(self, place: str, measure: Column | None) -> str:
        return f"More deals than usual wait too long in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        open_deals = "open deal" if facts.count == 1 else "open deals"
        number = f"At most {facts.count}" if facts.is_over else f"{facts.count}"
        usual = "" if facts.usual is None else f"; usual are {rounded(facts.usual)}"
        return f"{number} {open_deals} {facts.are} older than {facts.limit}{usual}{_by_chance(facts)}"

    def learned(self, threshold: int) -> str:
        return f"{threshold} are enough to open a ticket. That number and the limit come from the stage's own past."

    def finding(self, facts: ProblemFacts) -> str:
        return f"{facts.holds} older than {facts.limit}"

    def watched(self, rule: AgingLearnedRule, day: str) -> str:
        return "more old deals than the stage's own past lets expect"


def _by_chance(facts: ProblemFacts) -> str:
    if not facts.chance:
        return ""
    return f". By chance {facts.threshold} are reached about once in {rounded(1 / facts.chance)} quarters"
