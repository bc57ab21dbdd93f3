"""Wording of `stalled`: too many deals make no progress, and no next step is planned for them."""

from __future__ import annotations

from shared.contracts.measures import Column, Measure
from shared.policy.model import StalledRule
from shared.wording.kind import ChartSpec, DealOrder, KindWording, ProblemFacts
from shared.wording.quantities import at_least


class StalledWording(KindWording[StalledRule]):
    label = "standing still"
    chart = ChartSpec(Measure.STALLED, "deals standing still", "problem from")
    deal_order = DealOrder.LONGEST_WITHOUT_PROGRESS

    def title(self, place: str, measure: Column | None) -> str:
        return f"Deals stand still in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        return f"{facts.at_most} in {facts.stage}{facts.beside} {facts.have} shown no progress for {facts.limit}"

    def finding(self, facts: ProblemFacts) -> str:
        return f"{facts.holds} without progress for {facts.limit}"

    def watched(self, rule: StalledRule, day: str) -> str:
        return f"{at_least(rule.count)} without progress for {rule.limit.words(day)}"
