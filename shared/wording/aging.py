"""Wording of `aging`: too many deals have been in a stage for too long."""

from __future__ import annotations

from shared.contracts.measures import Column, Measure
from shared.policy.model import AgingRule
from shared.wording.kind import ChartSpec, KindWording, ProblemFacts
from shared.wording.quantities import at_least


class AgingWording(KindWording[AgingRule]):
    label = "waiting too long"
    chart = ChartSpec(Measure.OVER_AGE, "deals over the limit", "problem from", has_age_limit=True)

    def title(self, place: str, measure: Column | None) -> str:
        return f"Deals wait too long in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        return f"{facts.at_most}{facts.beside} {facts.have} been in {facts.stage} for more than {facts.limit}"

    def finding(self, facts: ProblemFacts) -> str:
        return f"{facts.holds} older than {facts.limit}"

    def watched(self, rule: AgingRule, day: str) -> str:
        return f"{at_least(rule.count)} for longer than {rule.limit.words(day)}"
