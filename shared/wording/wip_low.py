"""Wording of `wip-low`: too few deals are in a stage to feed the next ones. The peak is the lowest count."""

from __future__ import annotations

from shared.contracts.measures import Column, Measure
from shared.policy.model import WipLowRule
from shared.wording.kind import ChartSpec, KindWording, ProblemFacts
from shared.wording.quantities import deals


class WipLowWording(KindWording[WipLowRule]):
    label = "running dry"
    chart = ChartSpec(Measure.WIP, "deals in work", "least")
    extreme = "at the lowest"
    lacks_work = True
    eased = "No longer too few deals"
    no_deals = "No deal is behind this problem: it is about work that is missing."
    look_first = "Look at how many deals come in and leave before you change anything."

    def title(self, place: str, measure: Column | None) -> str:
        return f"{place} is running dry"

    def sentence(self, facts: ProblemFacts) -> str:
        count = f"{facts.deals if facts.count else 'no deal'}{facts.beside}"
        if facts.is_over:
            there = f"At the lowest, {count} {'were' if facts.count > 1 else 'was'}"
        else:
            there = f"{count[0].upper()}{count[1:]} {'are' if facts.count > 1 else 'is'}"
        return f"{there} in {facts.stage}; the next stages need at least {facts.threshold} there"

    def finding(self, facts: ProblemFacts) -> str:
        held = f"held {facts.deals} at the lowest" if facts.is_over else f"holds {facts.deals}"
        return f"{facts.stage} {held}; it needs at least {facts.threshold}"

    def breached(self, count: int, threshold: int) -> bool:
        return count < threshold

    def watched(self, rule: WipLowRule, day: str) -> str:
        return f"fewer than {deals(rule.min)}"
