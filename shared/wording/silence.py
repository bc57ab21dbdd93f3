"""Wording of `silence`: a source has sent no event for longer than its own rhythm lets expect."""

from __future__ import annotations

from shared.contracts.measures import Column
from shared.policy.model import SilenceRule
from shared.wording.kind import KindWording, ProblemFacts


class SilenceWording(KindWording[SilenceRule]):
    """The place of its problems is the source, their count the events that were to be expected."""

    label = "silent sources"
    chart = None
    # The last event was before: the sentence says when.
    began = "It was noticed"
    opened = "The silence was noticed"
    eased = "Heard again"
    unknown_cause = ""
    look_first = (
        "Ask whoever looks after this source to check that it is still connected to Andon and reports changes of deals."
    )
    no_deals = "No deal is behind this problem: no event came."

    def title(self, place: str, measure: Column | None) -> str:
        return f"No event from {place}"

    def sentence(self, facts: ProblemFacts) -> str:
        since = f" since {facts.since}" if facts.since else ""
        were, until = ("was" if facts.count == 1 else "were"), ("until then" if facts.is_over else "by now")
        expected = f"No event from {facts.stage}{since}; {facts.count} {were} to be expected {until}"
        return expected if facts.is_over else f"{expected}. Quiet is not improvement: verdicts wait"

    def finding(self, facts: ProblemFacts) -> str:
        return self.title(facts.stage, None)

    def counted(self, count: int) -> str:
        return f"{count} expected event{'' if count == 1 else 's'}"

    def watched(self, rule: SilenceRule, day: str) -> str:
        return "no event for longer than usual"
