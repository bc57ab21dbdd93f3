"""What a rule would have found in a stage: the intervals of `what_if`, for one rule after another, fast enough to wait.

The count is folded as everywhere; only what decides nothing is left out before, so that a history of hundreds of
thousands of visits takes tenths of a second.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from shared.contracts.measures import Measure
from shared.flow.intervals import Interval, RuleState, advance, decisive, intervals, marks_of
from shared.flow.rules import Rule
from shared.flow.rules.rule import Span
from shared.flow.statistics.aging_learned import LearnedRule, problem_intervals
from shared.flow.statistics.bottleneck import BottleneckCharts, bottleneck_looks
from shared.flow.statistics.chance import CountChance, chance_of, past_year, rule_crossings
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.crossings import Crossings
from shared.flow.statistics.findings import bottleneck_findings, window_findings
from shared.flow.statistics.learned_limits import (
    LearnedVersion,
    StageHistory,
    learn,
    relearning_instants,
)
from shared.flow.statistics.watched import WatchedChart
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import SHORT
from shared.flow.visits import Visit
from shared.policy import Mode, Pipeline
from shared.policy.rule_checks import BOTTLENECK_BUDGET

# Openings a quarter by chance that a suggested number allows, as in `andon policy suggest`.
SUGGESTED = Fraction(1, 10)
# Problems of a rule whose deals are looked up, the newest ones.
SHOWN = 12


class CountedDeal(NamedTuple):
    """A deal that a rule counts, since an instant."""

    deal: str
    since: int


class CountedVisits(NamedTuple):
    """When each visit of a stage counts, and the changes of the count: see `marks_of`."""

    spans: Sequence[Sequence[Span]]
    marks: array[int]


@dataclass(frozen=True)
class StagePast:
    """One stage as of an instant, in microseconds: `deals` has the deal of each visit of `history`."""

    weeks: Weeks
    as_of: int
    deals: Sequence[str]
    history: StageHistory

    @property
    def week_start(self) -> int:
        """Chances are told as of the start of the week."""
        return self.weeks.start(self.weeks.of(self.as_of))

    def counted(self, spans: Callable[[Visit], Sequence[Span]]) -> CountedVisits:
        """When each visit counts, and the changes of the count."""
        found = list(map(spans, self.history.visits))
        return CountedVisits(found, marks_of(list(chain.from_iterable(found)), self.as_of))

    @cached_property
    def wip(self) -> CountedVisits:
        """Each visit while it lasts: the same for every rule on WIP."""
        return self.counted(lambda visit: [(visit.entered, visit.left)])

    @cached_property
    def recent(self) -> Sequence[Visit]:
        """The visits that chances depend on, as known at the start of the week."""
        return past_year(self.history, self.week_start)


@dataclass(frozen=True)
class TriedBottleneck:
    """A rule `bottleneck` of one stage, with the charts that it judges. `key`: of its problem."""

    key: str
    stage: str
    judged: BottleneckCharts


def tried_bottlenecks(name: str, pipeline: Pipeline) -> list[TriedBottleneck]:
    """The rules `bottleneck` of a pipeline that are not off, one for each stage."""
    return [
        TriedBottleneck(f"{rule.kind}/{name}/{stage}", stage, BottleneckCharts.of(name, stage, pipeline.open_stages))
        for stage, rule in pipeline.bottleneck_rules.items()
        if rule.mode is not Mode.OFF
    ]


@dataclass(frozen=True)
class RuleRun:
    """What a rule finds. `deals`: by opening, those that it counted then, the longest counted first.

    `suggested`: the threshold that chance alone opens at most once in ten quarters; None where the log is too short.
    `weeks`: of a rule on a chart, how many weeks could be judged.
    """

    intervals: Sequence[Interval]
    chance: CountChance
    suggested: int | None = None
    deals: Mapping[int, Sequence[CountedDeal]] = field(default_factory=dict)
    weeks: int | None = None


def run_rule(rule: Rule, past: StagePast, since: int) -> RuleRun:
    """The problems of a rule on a count as of the instant; the deals of the newest that were open after `since`."""
    spans, marks = past.wip if rule.measure is Measure.WIP else past.counted(rule.spans)
    found = intervals(*advance(rule, RuleState(), decisive(rule, marks), past.as_of))
    seen = rule_crossings(rule, past.recent, past.weeks.first_event, past.week_start)
    chance = chance_of(rule, seen, past.recent, past.week_start)
    return RuleRun(found, chance, _suggested(rule, seen), _counted(spans, past.deals, _shown(found, since)))


def versions_of(past: StagePast) -> list[LearnedVersion]:
    """What the stage has learned week by week. Takes seconds for tens of thousands of visits, whatever the budget."""
    instants = relearning_instants(past.weeks, past.as_of)
    return learn(past.history, past.weeks.first_event, instants, SUGGESTED)


def run_learned(rule: LearnedRule, past: StagePast, learned: Sequence[LearnedVersion], since: int) -> RuleRun:
    """As `run_rule`, of `aging-learned`: each week under what was learned at its start, at the rule's own budget."""
    budget = rule.policy.budget
    versions = [
        one if one.crossings is None else replace(one, count=one.crossings.model.least_number(budget))
        for one in learned
    ]
    found = problem_intervals(rule, past.history.visits, versions, past.as_of)
    usual = versions[-1].crossings if versions else None
    chance = CountChance(float(rule.policy.budget), None if usual is None else float(usual.mean))
    deals = {opened: _over_limit(rule, past, versions, opened) for opened in _shown(found, since)}
    return RuleRun(found, chance, versions[-1].count if versions else None, deals)


def run_watch(watch: WatchedChart, charts: ChartSegments) -> RuleRun:
    """What a rule on a chart finds; `charts` has the weeks that are over."""
    judged = [max(len(one.after) + 1 - SHORT, 0) for one in charts.judged(watch.chart)]
    found = [one.interval for one in window_findings(watch, charts)]
    return RuleRun(found, CountChance(float(watch.per_quarter)), weeks=sum(judged))


def run_bottleneck(rule: TriedBottleneck, charts: ChartSegments) -> RuleRun:
    """As `run_watch`, of `bottleneck`."""
    judged = rule.judged.judged(charts)
    found = [one.interval for one in bottleneck_findings(judged, charts.weeks)]
    return RuleRun(found, CountChance(float(BOTTLENECK_BUDGET)), weeks=len(bottleneck_looks(judged)))


def _shown(found: Sequence[Interval], since: int) -> list[int]:
    """When the newest problems opened, of those that were open after an instant."""
    return [one.opened_at for one in found if one.cleared_at is None or one.cleared_at > since][-SHOWN:]


def _suggested(rule: Rule, seen: Crossings | None) -> int | None:
    if seen is None:
        return None
    if not rule.starves:
        return seen.model.least_number(SUGGESTED) - (rule.crossed - rule.threshold)
    numbers = range(int(seen.mean), 0, -1)
    return next((number for number in numbers if seen.model.openings(number) <= SUGGESTED), None)


def _counted(
    spans: Sequence[Sequence[Span]], deals: Sequence[str], instants: Sequence[int]
) -> dict[int, list[CountedDeal]]:
    """By instant, in order, the deals that are counted then; `spans`: of each deal when it counts."""
    found: dict[int, list[CountedDeal]] = {instant: [] for instant in instants}
    for deal, own in zip(deals, spans, strict=True) if instants else ():
        for start, end in own:
            # Of a long history most ended before.
            if start > instants[-1] or (end is not None and end <= instants[0]):
                continue
            last = len(instants) if end is None else bisect_left(instants, end)
            for instant in instants[bisect_left(instants, start) : last]:
                found[instant].append(CountedDeal(deal, start))
    for counted in found.values():
        counted.sort(key=lambda one: (one.since, one.deal))
    return found


def _over_limit(
    rule: LearnedRule, past: StagePast, versions: Sequence[LearnedVersion], opened: int
) -> list[CountedDeal]:
    under = rule.under(versions[bisect_right([one.since for one in versions], opened) - 1])
    if under is None:
        return []
    found = [
        CountedDeal(deal, start)
        for deal, visit in zip(past.deals, past.history.visits, strict=True)
        for start, end in under.spans(visit)
        if start <= opened and (end is None or end > opened)
    ]
    return sorted(found, key=lambda one: (one.since, one.deal))
