"""Wording of a kind that this version does not know: a newer detector found it."""

from __future__ import annotations

from shared.contracts.measures import Column
from shared.policy.model import CountRule
from shared.wording.kind import KindWording, ProblemFacts


class UnknownWording(KindWording[CountRule]):
    """Names the kind, and gives the count and the threshold, which every problem has."""

    chart = None

    def __init__(self, kind: str) -> None:
        self.label = kind

    def title(self, place: str, measure: Column | None) -> str:
        return f"{self.label} in {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        return f"{facts.at_most}{facts.beside} {facts.are} in {facts.stage}; the limit is {facts.threshold}"

    def finding(self, facts: ProblemFacts) -> str:
        return f"{facts.holds}; the limit is {facts.threshold}"

    def watched(self, rule: CountRule, day: str) -> str:
        return self.label
