"""Wording of `bottleneck`: more comes into a stage than leaves it, and its deals grow older."""

from __future__ import annotations

from shared.contracts.measures import Column
from shared.contracts.problems import BottleneckLabel, ProblemData
from shared.policy.model import BottleneckRule
from shared.wording.kind import FOUND, KindWording, ProblemFacts
from shared.wording.quantities import rounded

# What a label means to somebody who does not know these words.
_LABELS = {
    BottleneckLabel.CAPACITY: "Capacity: fewer deals leave the stage than before. Look for what holds them up there.",
    BottleneckLabel.DEMAND: "Demand: more deals come into the stage than before. Look at where they come from.",
    BottleneckLabel.UNCLEAR: "",
}


class BottleneckWording(KindWording[BottleneckRule]):
    label = "bottlenecks"
    chart = None
    says_chance = is_weekly = True
    opened = FOUND
    eased = "No more deals than in the baseline"
    no_deals = "No single deal is behind this problem: it is about all deals of the stage."
    # The sentence names the cause, also one that is unclear.
    unknown_cause = ""
    look_first = "Look at what comes in and at what leaves before you change anything."

    def title(self, place: str, measure: Column | None) -> str:
        return f"{place} is a bottleneck"

    def sentence(self, facts: ProblemFacts) -> str:
        found = facts.bottleneck
        # All else is as of the opening: WIP may have grown since, and be less again by now.
        at_most = "up to " if facts.is_over or (found is not None and facts.count > found.wip) else ""
        wip = f"WIP {at_most}{facts.count}"
        if found is None:
            return f"More came into {facts.stage} than left it, {wip}, and its deals grow older"
        return (
            f"More came into {facts.stage} than left it: {found.net} in 13 weeks, {wip} against"
            f" {rounded(found.usual_wip)}, and its deals grow older. Cause: {found.label.value}"
        )

    def finding(self, facts: ProblemFacts) -> str:
        if facts.bottleneck is None:
            return self.title(facts.stage, None)
        return f"{facts.bottleneck.net} more deals came into {facts.stage} than left it in 13 weeks"

    def cause_facts(self, problem: ProblemData) -> str:
        found = problem.bottleneck
        if found is None:
            return ""
        starved = "Meanwhile the next stage has less to work on than before." if found.next_starved else ""
        return " ".join(filter(None, (_LABELS[found.label], starved)))

    def watched(self, rule: BottleneckRule, day: str) -> str:
        return "more deals come in than leave, and they grow older"
