"""The rules of a policy, ready to evaluate, and the series that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from shared.contracts.measures import Measure
from shared.flow.calendars import AgeClocks
from shared.flow.rules import KINDS, Rule, Series, WipHigh
from shared.flow.rules.rule import Span
from shared.flow.statistics.aging_learned import LearnedRule
from shared.flow.visits import Visit
from shared.policy import Mode, Policy, StageOutcome

# When a visit counts.
Counter = Callable[[Visit], Sequence[Span]]


class Ruleset:
    """The rules of a policy that are not off, by series and by stage. Never changes."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.clocks = AgeClocks(policy)
        self.rules: list[Rule] = [
            KINDS[rule.kind](name, rule, self.clocks)
            for name, pipeline in policy.pipelines.items()
            for rule in pipeline.count_rules
            if rule.mode is not Mode.OFF
        ]
        self._stages = {(name, stage.id) for name, pipeline in policy.pipelines.items() for stage in pipeline.stages}

    def knows(self, pipeline: str, stage: str) -> bool:
        """Whether the policy has this stage."""
        return (pipeline, stage) in self._stages

    @cached_property
    def learned_rules(self) -> dict[tuple[str, str], LearnedRule]:
        """The rules `aging-learned` that are not off, by (pipeline, stage)."""
        return {
            (name, stage): LearnedRule(name, stage, rule, self.clocks)
            for name, pipeline in self.policy.pipelines.items()
            for stage, rule in pipeline.learned_rules.items()
            if rule.mode is not Mode.OFF
        }

    @cached_property
    def stages(self) -> list[tuple[str, str]]:
        """Every open stage of the policy: (pipeline, stage)."""
        return [
            (name, stage.id)
            for name, pipeline in self.policy.pipelines.items()
            for stage in pipeline.stages
            if stage.outcome is StageOutcome.OPEN
        ]

    @cached_property
    def series(self) -> dict[Series, list[Rule]]:
        """Every count that is kept, with its rules. The work in progress of a stage is counted also without a rule."""
        found: dict[Series, list[Rule]] = {wip(*stage): [] for stage in self.stages}
        for rule in self.rules:
            found.setdefault(rule.series, []).append(rule)
        return found

    @cached_property
    def counters(self) -> dict[tuple[str, str], list[tuple[Series, Counter]]]:
        """By (pipeline, stage): its series, each with when a visit counts."""
        found: dict[tuple[str, str], list[tuple[Series, Counter]]] = {}
        for series, rules in self.series.items():
            counter = rules[0].spans if rules else _whole
            found.setdefault((series.pipeline, series.stage), []).append((series, counter))
        return found

    def spans(self, visit: Visit) -> Iterable[tuple[Series, Sequence[Span]]]:
        """When a visit counts, for each series of its stage."""
        counters = self.counters.get((visit.pipeline, visit.stage), ())
        return [(series, spans(visit)) for series, spans in counters]


def _whole(visit: Visit) -> Sequence[Span]:
    return [(visit.entered, visit.left)]


def wip(pipeline: str, stage: str) -> Series:
    """The series of the deals in a stage."""
    return Series(pipeline, stage, Measure.WIP.value, "")


assert WipHigh.measure is Measure.WIP  # noqa: S101 (WIP rules share the series that `wip` names)
