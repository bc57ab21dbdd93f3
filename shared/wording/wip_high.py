"""Wording of `wip-high`: too many deals are in a stage at once."""

from __future__ import annotations

from shared.contracts.measures import Column, Measure
from shared.policy.model import WipHighRule
from shared.wording.kind import ChartSpec, KindWording, ProblemFacts
from shared.wording.quantities import deals


class WipHighWording(KindWording[WipHighRule]):
    label = "too much work"
    chart = ChartSpec(Measure.WIP, "deals in work", "limit")
    eased = "Within the limit"

    def title(self, place: str, measure: Column | None) -> str:
        return f"Too much work in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        return f"{facts.at_most}{facts.beside} {facts.are} in {facts.stage}; the limit is {facts.threshold}"

    def finding(self, facts: ProblemFacts) -> str:
        return f"{facts.holds}; the limit is {facts.threshold}"

    def breached(self, count: int, threshold: int) -> bool:
        return count > threshold

    def watched(self, rule: WipHighRule, day: str) -> str:
        return f"more than {deals(rule.max)}"

    def wip_limit(self, rule: WipHighRule) -> int:
        return rule.max
