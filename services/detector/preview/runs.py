"""Tries the rules of a pipeline on its past."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from services.detector.preview.past import PastReader, PipelinePast
from services.detector.store.past import DealLabel
from shared.contracts.measures import Column, Measure
from shared.contracts.preview import (
    QUARTERS,
    PreviewAnswer,
    PreviewDeal,
    PreviewedRule,
    PreviewProblem,
    RulePreview,
)
from shared.flow.intervals import Interval
from shared.flow.preview import (
    CountedDeal,
    RuleRun,
    TriedBottleneck,
    run_bottleneck,
    run_learned,
    run_rule,
    run_watch,
    tried_bottlenecks,
    versions_of,
)
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.aging_learned import LearnedRule
from shared.flow.statistics.chance import is_usual
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.crossings import DAY, QUARTER_DAYS
from shared.flow.statistics.watched import WatchedChart, pipeline_watches
from shared.runtime.instants import moment

QUARTER = QUARTER_DAYS * DAY
# Of one rule, and of one problem.
_MOST_PROBLEMS, _MOST_DEALS = 50, 10
# Which policy a run belongs to.
_BEFORE, _AFTER = 0, 1
TriedRule = Rule | LearnedRule | WatchedChart | TriedBottleneck


class PolicyPast(NamedTuple):
    """A policy, and the past of a pipeline under it."""

    ruleset: Ruleset
    past: PipelinePast

    @property
    def rules(self) -> list[TriedRule]:
        """None where the policy does not have the pipeline."""
        name = self.past.pipeline
        return _rules(self.ruleset, name) if name in self.ruleset.policy.pipelines else []

    @property
    def learned(self) -> set[str]:
        """What defines the rules that learn."""
        return {_definition(one) for one in _learned(self.ruleset, self.past.pipeline)}


async def try_rules(reader: PastReader, before: PolicyPast, after: PolicyPast) -> list[RuleTried]:
    """The rules of either policy on its past, those of the first in its order, then those of the second.

    Without the rules `aging-learned` that are the same in both on the same past: they take seconds.
    """
    tried: dict[str, RuleTried] = {}
    same = before.learned & after.learned if before.past is after.past else set[str]()
    for number, one in ((_BEFORE, before), (_AFTER, after)):
        past = one.past
        await _read_charts(reader, past, {chart for rule in one.rules for chart in _charts(rule)})
        for rule in one.rules:
            name = _definition(rule)
            if name in same:
                continue
            if name not in past.runs:
                past.keep(name, await _run(reader, past, rule))
            tried.setdefault(rule.key, RuleTried(rule)).put(number, rule, past.runs[name])
    return list(tried.values())


def answer(past: PipelinePast, tried: Iterable[RuleTried], labels: Mapping[str, DealLabel]) -> PreviewAnswer:
    """What is shown of it; `labels`: of all deals that `deals_shown` names."""
    since = since_of(past)
    return PreviewAnswer(
        as_of=moment(past.as_of),
        since=moment(max(since, past.weeks.first_event)),
        first_event=moment(past.weeks.first_event),
        visits=past.visits,
        rules=tuple(one.preview(past.as_of, labels) for one in tried),
    )


def since_of(past: PipelinePast) -> int:
    """The start of the quarters that are shown."""
    return past.as_of - QUARTERS * QUARTER


class RuleTried:
    """One rule under both policies."""

    def __init__(self, rule: TriedRule) -> None:
        self.key = rule.key
        self.stage: str = rule.chart.stage if isinstance(rule, WatchedChart) else rule.stage
        self._measure: Column | None = rule.chart.column if isinstance(rule, WatchedChart) else None
        self._runs: dict[int, tuple[TriedRule, RuleRun]] = {}

    def put(self, number: int, rule: TriedRule, run: RuleRun) -> None:
        self._runs[number] = rule, run

    def deals_shown(self) -> set[str]:
        """The deals that a page names."""
        return {one.deal for _, run in self._runs.values() for some in run.deals.values() for one in some[:_MOST_DEALS]}

    def preview(self, as_of: int, labels: Mapping[str, DealLabel]) -> RulePreview:
        before, after = (
            None if one not in self._runs else _finding(*self._runs[one], as_of, labels) for one in (_BEFORE, _AFTER)
        )
        kind = self.key.partition("/")[0]
        stage, measure = self.stage, self._measure
        return RulePreview(key=self.key, kind=kind, stage=stage, measure=measure, before=before, after=after)


def _rules(ruleset: Ruleset, name: str) -> list[TriedRule]:
    counted, pipeline = [rule for rule in ruleset.rules if rule.pipeline == name], ruleset.policy.pipelines[name]
    return [
        *counted,
        *_learned(ruleset, name),
        *tried_bottlenecks(name, pipeline),
        *pipeline_watches(name, pipeline),
    ]


def _learned(ruleset: Ruleset, pipeline: str) -> list[LearnedRule]:
    return [rule for (name, _), rule in ruleset.learned_rules.items() if name == pipeline]


def _charts(rule: TriedRule) -> list[Chart]:
    """The charts that the rule judges."""
    if isinstance(rule, TriedBottleneck):
        return rule.judged.charts
    return [rule.chart] if isinstance(rule, WatchedChart) else []


async def _read_charts(reader: PastReader, past: PipelinePast, charts: Set[Chart]) -> None:
    """Read those that have not been read yet."""
    missing = charts - past.charts.keys()
    if missing:
        await reader.read_charts(past, missing)


def _definition(rule: TriedRule) -> str:
    """What decides what the rule finds. Its mode does not."""
    if isinstance(rule, WatchedChart):
        return f"{rule.key}:{rule.level}"
    if isinstance(rule, TriedBottleneck):
        return rule.key
    if isinstance(rule, LearnedRule):
        return f"{rule.key}:{rule.policy.budget}:{rule.policy.clear_hold.micros()}"
    return f"{rule.key}:{rule.series.text}:{rule.threshold}:{rule.hold}:{rule.clear_hold}"


async def _run(reader: PastReader, past: PipelinePast, rule: TriedRule) -> RuleRun:
    since = since_of(past)
    if isinstance(rule, WatchedChart):
        return await asyncio.to_thread(run_watch, rule, past.segments)
    if isinstance(rule, TriedBottleneck):
        return await asyncio.to_thread(run_bottleneck, rule, past.segments)
    if isinstance(rule, LearnedRule):
        stage = past.stages[rule.stage]
        if rule.stage not in past.learned:
            past.learned[rule.stage] = await asyncio.to_thread(versions_of, stage)
        return await asyncio.to_thread(run_learned, rule, stage, past.learned[rule.stage], since)
    if rule.measure is not Measure.STALLED:
        return await asyncio.to_thread(run_rule, rule, past.stages[rule.stage], since)
    if rule.stage not in past.full:
        await reader.read_full(past, [rule.stage])
    return await asyncio.to_thread(run_rule, rule, past.full[rule.stage], since)


def _finding(rule: TriedRule, run: RuleRun, as_of: int, labels: Mapping[str, DealLabel]) -> PreviewedRule:
    since = as_of - QUARTERS * QUARTER
    shown = [one for one in run.intervals if one.cleared_at is None or one.cleared_at > since]
    return PreviewedRule(
        quarters=_quarters(run.intervals, since),
        open_share=_open_time(shown, since, as_of) / (as_of - since),
        problems=tuple(_problem(one, run, labels) for one in shown[-_MOST_PROBLEMS:]),
        per_quarter=run.chance.per_quarter,
        usual=run.chance.usual,
        exceed=run.chance.exceed,
        suggested=run.suggested,
        is_learned=isinstance(rule, LearnedRule),
        is_usual=isinstance(rule, Rule) and is_usual(rule, run.chance),
        weeks=run.weeks,
    )


def _quarters(intervals: Iterable[Interval], since: int) -> tuple[int, ...]:
    """Openings in each quarter `(start, end]`, so that the newest holds the instant of the answer."""
    counts = [0] * QUARTERS
    for one in intervals:
        if one.opened_at > since:
            counts[(one.opened_at - since - 1) // QUARTER] += 1
    return tuple(counts)


def _open_time(shown: Iterable[Interval], since: int, as_of: int) -> int:
    return sum((as_of if one.cleared_at is None else one.cleared_at) - max(one.opened_at, since) for one in shown)


def _problem(one: Interval, run: RuleRun, labels: Mapping[str, DealLabel]) -> PreviewProblem:
    counted = run.deals.get(one.opened_at)
    return PreviewProblem(
        opened_at=moment(one.opened_at),
        cleared_at=None if one.cleared_at is None else moment(one.cleared_at),
        peak=one.peak,
        total=None if counted is None else len(counted),
        deals=tuple(_deal(deal, labels) for deal in (counted or ())[:_MOST_DEALS]),
    )


def _deal(counted: CountedDeal, labels: Mapping[str, DealLabel]) -> PreviewDeal:
    label = labels.get(counted.deal, DealLabel(None, None))
    return PreviewDeal(deal=counted.deal, name=label.name, url=label.url, since=moment(counted.since))
