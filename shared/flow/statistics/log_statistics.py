"""Everything the statistics say of a log as of an instant: one pure function of history, policy and relocks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from shared.flow.intervals import Interval
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import source_of
from shared.flow.statistics.aging_learned import LearnedRule
from shared.flow.statistics.bottleneck import BottleneckCharts, StageCharts
from shared.flow.statistics.chance import Chance, chances
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Column
from shared.flow.statistics.findings import (
    ProblemFinding,
    bottleneck_findings,
    count_findings,
    learned_findings,
    silence_findings,
    window_findings,
)
from shared.flow.statistics.forecast import Forecast, forecast
from shared.flow.statistics.learned_limits import (
    LearnedLimit,
    LearnedVersion,
    StageHistory,
    learn,
    learned_limit,
    relearning_instants,
)
from shared.flow.statistics.measures import DealFacts, WeeklyMeasures, weekly_measures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.silence import SourceSilence, silence
from shared.flow.statistics.wall_hours import WallHours
from shared.flow.statistics.watched import WatchedChart, watches
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit, WithdrawnVisit
from shared.policy import Mode, Policy
from shared.policy.model import BottleneckRule, SilenceRule

StagePath = tuple[str, str]


class FoldedDeal(NamedTuple):
    """One deal: what the measures need of it, and the visits that were believed for a while."""

    deal: str
    first_event: int
    facts: DealFacts
    withdrawn: Sequence[WithdrawnVisit]


@dataclass(frozen=True)
class LogHistory:
    """What a log tells up to `as_of`. `receipts`: by source, in order, none later than `as_of`."""

    weeks: Weeks
    as_of: int
    deals: Sequence[FoldedDeal]
    receipts: Mapping[str, Sequence[int]]


class LogStatistics:
    """The statistics of a log. What is asked for is computed once."""

    def __init__(self, history: LogHistory, policy: Policy, relocks: Sequence[Relock] = ()) -> None:
        self._history, self._policy, self._relocks = history, policy, relocks
        self._ruleset = Ruleset(policy)
        self.weeks, self.as_of = history.weeks, history.as_of

    @cached_property
    def measures(self) -> WeeklyMeasures:
        return weekly_measures((one.facts for one in self._history.deals), self._policy, self.weeks, self.as_of)

    @cached_property
    def charts(self) -> ChartSegments:
        return ChartSegments(self.measures, self.weeks, self._relocks)

    @cached_property
    def watches(self) -> list[WatchedChart]:
        """The watched charts, active and monitored."""
        return watches(self._policy)

    @property
    def learned_rules(self) -> list[LearnedRule]:
        """The rules `aging-learned`, one for each stage."""
        return list(self._ruleset.learned_rules.values())

    @cached_property
    def bottleneck_rules(self) -> dict[StagePath, BottleneckRule]:
        """The rules `bottleneck`, by stage."""
        return {
            (name, stage): rule
            for name, pipeline in self._policy.pipelines.items()
            for stage, rule in pipeline.bottleneck_rules.items()
            if rule.mode is not Mode.OFF
        }

    @cached_property
    def silence_rules(self) -> dict[str, SilenceRule]:
        """The rules on silence of the sources that have been heard."""
        rules = {source: self._policy.silence_rule(source) for source in sorted(self._history.receipts)}
        return {source: rule for source, rule in rules.items() if rule is not None and rule.mode is not Mode.OFF}

    @cached_property
    def stages(self) -> dict[StagePath, StageHistory]:
        """The visits of each open stage of the policy."""
        found: dict[StagePath, tuple[list[Visit], list[WithdrawnVisit]]] = {
            path: ([], []) for path in self._ruleset.stages
        }
        for deal in self._history.deals:
            for visit in deal.facts.visits:
                if (stage := found.get((visit.pipeline, visit.stage))) is not None:
                    stage[0].append(visit)
            for one in deal.withdrawn:
                if (stage := found.get((one.visit.pipeline, one.visit.stage))) is not None:
                    stage[1].append(one)
        return {path: StageHistory(*visits, self._ruleset.clocks.of(*path)) for path, visits in found.items()}

    def visits_of(self, rule: Rule) -> Sequence[Visit]:
        """The visits of a rule's stage."""
        return self.stages[rule.pipeline, rule.stage].visits

    @cached_property
    def learned_limits(self) -> dict[StagePath, LearnedLimit]:
        """The limit that each open stage's own past gives as of the instant."""
        return {path: learned_limit(one.visits, one.clock, self.as_of) for path, one in self.stages.items()}

    @cached_property
    def learned_versions(self) -> dict[StagePath, list[LearnedVersion]]:
        """What each stage with a rule `aging-learned` has learned, week by week."""
        instants, first = relearning_instants(self.weeks, self.as_of), self.weeks.first_event
        return {
            (rule.pipeline, rule.stage): learn(
                self.stages[rule.pipeline, rule.stage], first, instants, rule.policy.budget
            )
            for rule in self.learned_rules
        }

    @cached_property
    def bottleneck_charts(self) -> dict[StagePath, StageCharts]:
        """The charts of each stage with a rule `bottleneck`."""
        pipelines = self._policy.pipelines
        return {
            (name, stage): BottleneckCharts.of(name, stage, pipelines[name].open_stages).judged(self.charts)
            for name, stage in self.bottleneck_rules
        }

    @cached_property
    def silences(self) -> dict[str, SourceSilence]:
        """When each source was silent that a rule watches."""
        holidays = {day for clock in self._policy.clocks.values() for day in clock.holidays}
        hours = WallHours(self.weeks, holidays)
        return {
            source: silence(self._history.receipts[source], hours, rule.budget, self.as_of)
            for source, rule in self.silence_rules.items()
        }

    def last_heard(self, source: str, instant: int) -> int:
        """When a source was last heard before it fell silent at the instant."""
        receipts = self._history.receipts[source]
        return receipts[bisect_left(receipts, instant) - 1]

    @cached_property
    def forecasts(self) -> dict[str, Forecast]:
        """The closings of the next weeks, by pipeline."""
        silent = {s for s, found in self.silences.items() if found.intervals and found.intervals[-1].cleared_at is None}
        sources = self._sources() if silent else {}
        return {
            name: forecast(
                [int(point.value) for point in self.charts.judged(Chart(name, "", Column.THROUGHPUT))[-1].points],
                sum(visit.left is None for stage in self._open_stages(name) for visit in self.stages[stage].visits),
                silent=not silent.isdisjoint(sources.get(name, ())),
            )
            for name in self._policy.pipelines
        }

    @cached_property
    def chances(self) -> dict[str, Chance]:
        """How often each rule that is not off opens by chance, by problem key."""
        return chances(self._policy, self.stages, self.weeks, self.as_of, sorted(self._history.receipts))

    @cached_property
    def problems(self) -> dict[str, list[ProblemFinding]]:
        """The intervals of every kind that needs statistics, by problem key."""
        found = {watch.key: window_findings(watch, self.charts) for watch in self.watches}
        for rule in self.learned_rules:
            path = rule.pipeline, rule.stage
            versions = self.learned_versions[path]
            found[rule.key] = learned_findings(rule, self.stages[path].visits, versions, self.as_of)
        for (name, stage), bottleneck in self.bottleneck_rules.items():
            charts = self.bottleneck_charts[name, stage]
            found[f"{bottleneck.kind}/{name}/{stage}"] = bottleneck_findings(charts, self.weeks)
        return found | {f"silence/{source}": silence_findings(one) for source, one in self.silences.items()}

    def count_findings(self, rule: Rule, intervals: Sequence[Interval]) -> list[ProblemFinding]:
        """Intervals of a rule on counts, with their cause class."""
        return count_findings(rule, intervals, self.charts)

    def _open_stages(self, pipeline: str) -> list[StagePath]:
        return [(pipeline, stage) for stage in self._policy.pipelines[pipeline].open_stages]

    def _sources(self) -> dict[str, set[str]]:
        """The sources with a visit in each pipeline of the policy."""
        found: dict[str, set[str]] = {name: set() for name in self._policy.pipelines}
        for deal in self._history.deals:
            for pipeline in {visit.pipeline for visit in deal.facts.visits}:
                if pipeline in found:
                    found[pipeline].add(source_of(deal.deal))
        return found
