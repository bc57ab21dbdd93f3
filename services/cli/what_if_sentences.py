"""The rules of a policy and what each of them found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.cli.console import counted
from shared import wording
from shared.flow.coverage import Coverage
from shared.flow.intervals import Interval
from shared.flow.rules import Rule
from shared.flow.statistics.findings import ProblemFinding, bottleneck_detail, window_detail
from shared.flow.statistics.watched import WatchedChart
from shared.flow.what_if import Found
from shared.policy import Mode, Policy, StageTitles
from shared.policy.model import CALENDAR
from shared.runtime.instants import moment
from shared.wording.kind import ProblemFacts
from shared.wording.measures import day_of
from shared.wording.problem_text import watched
from shared.wording.quantities import age


class JudgedRule(NamedTuple):
    """`key`: of its problem. `had_events`: whether there was anything to judge. `sentences`: one for each problem."""

    key: str
    name: str
    had_events: bool
    sentences: Sequence[str]


class RuleSentences:
    """Writes in a policy's words and zone."""

    def __init__(self, found: Found, covered: Coverage, policy: Policy, titles: StageTitles) -> None:
        self._found, self._covered, self._policy, self._titles = found, covered, policy, titles
        self._zone = ZoneInfo(policy.timezone)

    def rules(self) -> Iterator[JudgedRule]:
        """Every rule that is not off: those on counts, on measures, learned ones, bottlenecks, sources."""
        yield from map(self._counted, self._found.ruleset.rules)
        yield from map(self._charted, self._found.statistics.watches)
        yield from self._learned()
        yield from self._bottlenecks()
        yield from self._silent()

    def time(self, instant: int) -> str:
        """`3 Mar 2026 10:00`"""
        local: datetime = moment(instant).astimezone(self._zone)
        return f"{local.day} {local:%b %Y %H:%M}"

    def _counted(self, rule: Rule) -> JudgedRule:
        stage = self._titles.title(rule.pipeline, rule.stage)
        what = f"{stage}: {watched(rule.rule, rule.pipeline, self._policy)}"
        limit = "" if rule.limit is None else str(rule.rule.limit.words(self._day(rule.pipeline, rule.stage)))
        facts = [
            (one, ProblemFacts(stage, one.peak, rule.threshold, limit, is_over=True))
            for one in self._found.problems[rule.key]
        ]
        return self._judged(rule.key, rule.kind, rule.pipeline, rule.stage, f", {what}", rule.mode, facts)

    def _charted(self, watch: WatchedChart) -> JudgedRule:
        name, stage, column = watch.chart
        place = self._titles.title(name, stage) if stage else self._policy.pipelines[name].name
        facts = [
            (one.interval, self._chart_facts(place, watch, one)) for one in self._found.statistics.problems[watch.key]
        ]
        what = wording.of(watch.kind).title(place, column)
        return self._judged(watch.key, watch.kind, name, stage, f": {what}", watch.mode, facts)

    def _chart_facts(self, place: str, watch: WatchedChart, found: ProblemFinding) -> ProblemFacts:
        signal = window_detail(watch, found.trigger, self._found.statistics.charts)
        return ProblemFacts(
            place,
            found.interval.peak,
            signal.pairs_needed,
            "",
            is_over=True,
            signal=signal,
            chance=float(watch.per_quarter),
            day_seconds=day_of(watch.chart, self._policy),
        )

    def _learned(self) -> Iterator[JudgedRule]:
        for rule in self._found.statistics.learned_rules:
            stage = self._titles.title(rule.pipeline, rule.stage)
            facts = [
                (one.interval, self._learned_facts(rule.pipeline, rule.stage, one, float(rule.policy.budget)))
                for one in self._found.statistics.problems[rule.key]
            ]
            what = wording.of(rule.policy.kind).title(stage, None)
            mode = rule.policy.mode
            yield self._judged(rule.key, rule.policy.kind, rule.pipeline, rule.stage, f": {what}", mode, facts)

    def _learned_facts(self, pipeline: str, stage: str, found: ProblemFinding, budget: float) -> ProblemFacts:
        place, version = self._titles.title(pipeline, stage), found.version
        if version is None or version.limit is None or version.crossings is None:
            return ProblemFacts(place, found.interval.peak, 0, "", is_over=True)
        limit = age(version.limit / 1_000_000, self._policy.day_seconds(pipeline, stage))
        usual, count = float(version.crossings.mean), version.count or 0
        return ProblemFacts(place, found.interval.peak, count, limit, is_over=True, chance=budget, usual=usual)

    def _bottlenecks(self) -> Iterator[JudgedRule]:
        for (name, stage), rule in self._found.statistics.bottleneck_rules.items():
            place = self._titles.title(name, stage)
            key = f"{rule.kind}/{name}/{stage}"
            found = self._found.statistics.problems[key]
            facts = [(one.interval, self._bottleneck_facts(name, stage, one)) for one in found]
            what = wording.of(rule.kind).title(place, None)
            yield self._judged(key, rule.kind, name, stage, f": {what}", rule.mode, facts)

    def _bottleneck_facts(self, pipeline: str, stage: str, found: ProblemFinding) -> ProblemFacts:
        charts = self._found.statistics.bottleneck_charts[pipeline, stage]
        facts = None if found.bottleneck is None else bottleneck_detail(charts, found.bottleneck)
        return ProblemFacts(
            self._titles.title(pipeline, stage), found.interval.peak, 0, "", is_over=True, bottleneck=facts
        )

    def _silent(self) -> Iterator[JudgedRule]:
        words = wording.of("silence")
        for source, rule in self._found.statistics.silence_rules.items():
            facts = []
            for one in self._found.problems[f"silence/{source}"]:
                since = self.time(self._found.statistics.last_heard(source, one.opened_at))
                facts.append((one, ProblemFacts(source, one.peak, 0, "", is_over=True, since=since)))
            mode = _monitored(rule.mode)
            sentences = [self._sentence("silence", *fact) for fact in facts]
            yield JudgedRule(f"silence/{source}", f"{words.title(source, None)} (silence{mode})", True, sentences)

    def _judged(
        self,
        key: str,
        kind: str,
        pipeline: str,
        stage: str,
        what: str,
        mode: Mode,
        facts: Sequence[tuple[Interval, ProblemFacts]],
    ) -> JudgedRule:
        name = f"{self._policy.pipelines[pipeline].name}{what} ({kind}{_monitored(mode)})"
        entered = self._covered.entered
        had_events = (pipeline, stage) in entered if stage else any(key == pipeline for key, _ in entered)
        return JudgedRule(key, name, had_events, [self._sentence(kind, *one) for one in facts])

    def _sentence(self, kind: str, interval: Interval, facts: ProblemFacts) -> str:
        """`3 Mar 2026 10:00 to 5 Mar 2026 12:00 (2 days 2 hours): at most 61 deals were in Lead; the limit is 45.`"""
        text = wording.of(kind).sentence(facts)
        end = self._found.as_of if interval.cleared_at is None else interval.cleared_at
        began, length = self.time(interval.opened_at), _length((end - interval.opened_at) // 1_000_000)
        if interval.cleared_at is None:
            return f"Since {began}, still open after {length}: {text}."
        return f"{began} to {self.time(interval.cleared_at)} ({length}): {text}."

    def _day(self, pipeline: str, stage: str) -> str:
        is_calendar = self._policy.pipelines[pipeline].clock_of(stage) == CALENDAR
        return "day" if is_calendar else "working day"


def _monitored(mode: Mode) -> str:
    return ", monitored only" if mode is Mode.MONITOR else ""


def _length(seconds: int) -> str:
    """`3 days 4 hours`, `25 minutes`: the two largest units."""
    parts = [(seconds // 86_400, "day"), (seconds // 3600 % 24, "hour"), (seconds // 60 % 60, "minute")]
    named = [counted(number, unit, f"{unit}s") for number, unit in parts if number]
    return " ".join(named[:2]) or "less than a minute"
