"""A problem in a manager's words: title, sentence, what it asks for, and the finding of its chart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from shared import wording
from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, ProblemData, ProblemInterval
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.policy.durations import parse_duration
from shared.policy.model import CALENDAR, AgingLearnedRule, CountRule
from shared.wording.kind import KindWording, ProblemFacts
from shared.wording.measures import day_of
from shared.wording.quantities import CALENDAR_DAY, age, day, number, rounded, week, week_until

# Rarer openings by chance than this, in a quarter, are all called rare.
LEAST_CHANCE = 0.001
_ALONE = "Chance alone does this"


@dataclass(frozen=True)
class ProblemText:
    """All words about a problem. `pipeline` and `stage` are names, or ids where the policy has none; for a problem
    of a source both are the source. `found`: see `found_text`.
    """

    pipeline: str
    stage: str
    title: str
    sentence: str
    found: str
    _problem: ProblemData
    _facts: ProblemFacts
    _policy: Policy
    _zone: str

    @property
    def asks_for(self) -> str:
        """What the problem asks of the manager. Made on demand: lists do not show it."""
        problem, kind = self._problem, wording.of(self._problem.kind)
        asked = kind.asks_for(problem, _stage_day(problem, self._policy))
        return asked or _cause_words(problem, kind, self._policy, self._zone)

    @property
    def finding(self) -> str:
        """What the chart of the problem finds."""
        return wording.of(self._problem.kind).finding(self._facts)


class Located(Protocol):
    """What is known of where a problem is."""

    @property
    def kind(self) -> str: ...
    @property
    def pipeline(self) -> str: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...


def title_of(problem: Located, measure: Column | None, policy: Policy, titles: StageTitles) -> str:
    """The title alone: `Deals wait too long in Proposal`. `measure`: of a problem on one."""
    return wording.of(problem.kind).title(_place(problem, policy, titles), measure)


def text_of(problem: ProblemData, policy: Policy, titles: StageTitles, zone: str | None = None) -> ProblemText:
    """The words about a problem. Kinds and stages that are not known go by their ids.

    `zone`: of the reader, for dates; None: the policy's.
    """
    pipeline = policy.pipelines.get(problem.pipeline)
    stage = _place(problem, policy, titles)
    zone, kind = zone or policy.timezone, wording.of(problem.kind)
    facts = _facts(problem, stage, policy, zone)
    return ProblemText(
        problem.source or (pipeline.name if pipeline else problem.pipeline),
        stage,
        kind.title(stage, problem.signal.measure if problem.signal else None),
        f"{kind.sentence(facts)}{'' if kind.says_chance else _context(problem)}.",
        found_text(problem.kind, problem, policy.timezone),
        problem,
        facts,
        policy,
        zone,
    )


def found_text(kind: str, interval: ProblemInterval, zone: str) -> str:
    """When weekly charts found a problem, and when they no longer did: `Found at the end of the week of 15 July`.

    `zone`: of the policy. Empty for a kind whose problems begin at an instant.
    """
    if not wording.of(kind).is_weekly:
        return ""
    found = f"Found at the end of {week_until(interval.opened_at, zone)}"
    if interval.cleared_at is None:
        return found
    return f"{found}, over at the end of {week_until(interval.cleared_at, zone)}"


def _place(problem: Located, policy: Policy, titles: StageTitles) -> str:
    """The stage's name; the pipeline's, for a problem of the whole pipeline; the source, for a problem of one."""
    if problem.source:
        return problem.source
    if problem.stage:
        return titles.title(problem.pipeline, problem.stage)
    pipeline = policy.pipelines.get(problem.pipeline)
    return pipeline.name if pipeline else problem.pipeline


def limit_of(problem: ProblemData, policy: Policy) -> str:
    """The rule's limit on the stage's clock: `21 days`, `12 working days`. Empty where it has none.

    A limit that the policy does not write was learned.
    """
    if problem.limit is None and problem.limit_seconds is not None and problem.pipeline in policy.pipelines:
        return age(problem.limit_seconds, policy.day_seconds(problem.pipeline, problem.stage or ""))
    if problem.limit is None:
        return ""
    return _limit_words(problem.limit, _day_name(policy, problem.pipeline, problem.stage or ""))


@lru_cache(1024)
def _limit_words(limit: str, day_name: str) -> str:
    """A policy has few limits, and a page names them for each of its tickets."""
    return parse_duration(limit).words(day_name)


def watched(rule: CountRule | AgingLearnedRule, pipeline: str, policy: Policy) -> str:
    """What a rule looks for: `6 deals or more for longer than 21 days`"""
    return _watched(rule, _day_name(policy, pipeline, rule.stage or ""))


@lru_cache(4096)
def _watched(rule: CountRule | AgingLearnedRule, day_name: str) -> str:
    return wording.of(rule.kind).watched(rule, day_name)


def asks_for(problem: ProblemData, zone: str) -> str:
    """What the class of the cause asks of the manager; its date is one of the zone."""
    if problem.cause_class is CauseClass.SPECIAL:
        return f"Something happened around {_week(problem, zone)}: find it before you change anything."
    if problem.cause_class is CauseClass.COMMON:
        return "Stable, but not able to meet the aim: no date will explain it; the policy or the system must change."
    kind = wording.of(problem.kind)
    if problem.cause_points is None or problem.cause_needed is None:
        return f"{kind.unknown_cause} {kind.look_first}".lstrip()
    return f"Too few weeks to tell: {problem.cause_points} of {problem.cause_needed}. {kind.look_first}"


def _cause_words(problem: ProblemData, kind: KindWording[Any], policy: Policy, zone: str) -> str:
    # Weeks are those of the policy, for all readers.
    asked = asks_for(problem, policy.timezone if kind.is_weekly else zone)
    return f"{asked} {kind.cause_facts(problem)}".rstrip()


def _week(problem: ProblemData, zone: str) -> str:
    """`the week of 2 March`: the first one that the problem shows in."""
    if problem.signal is not None and problem.signal.weeks:
        return week(problem.signal.weeks[0])
    # A problem of measures opens at the end of a week: it happened before.
    return week_until(problem.opened_at, zone)


def _facts(problem: ProblemData, stage: str, policy: Policy, zone: str) -> ProblemFacts:
    is_over = problem.cleared_at is not None
    count = problem.peak if is_over else problem.count
    limit = limit_of(problem, policy)
    return ProblemFacts(
        stage,
        count,
        problem.threshold,
        limit,
        is_over,
        problem.signal,
        problem.chance,
        problem.usual,
        problem.bottleneck,
        "" if problem.heard_at is None else _minute(problem.heard_at, zone),
        problem.cord,
        _usual_count(problem),
        _day_seconds(problem, policy),
    )


def _day_seconds(problem: ProblemData, policy: Policy) -> int:
    """Seconds of a day on the clock of the problem's measure."""
    if problem.signal is None:
        return CALENDAR_DAY
    return day_of(Chart(problem.pipeline, problem.stage or "", problem.signal.measure), policy)


def _stage_day(problem: ProblemData, policy: Policy) -> int:
    """Seconds of a day on the clock of the problem's stage."""
    if policy.stage(problem.pipeline, problem.stage or "") is None:
        return CALENDAR_DAY
    return policy.day_seconds(problem.pipeline, problem.stage or "")


def _minute(instant: datetime, zone: str) -> str:
    """`3 November 16:31`"""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{day(local)} {local:%H:%M}"


def _usual_count(problem: ProblemData) -> str:
    """The usual count in words; empty where it is not known, or `_capability` says it."""
    if problem.usual is None or _is_usual(problem):
        return ""
    return number(problem.usual) if problem.usual else "none"


def _is_usual(problem: ProblemData) -> bool:
    """Whether the usual count is one that the rule calls a problem."""
    kind = wording.of(problem.kind)
    return problem.usual is not None and kind.breached(round(problem.usual), problem.threshold)


def _context(problem: ProblemData) -> str:
    """What the process can do, and how often chance alone does the same."""
    return f"{_capability(problem)}{_by_chance(problem)}"


def _capability(problem: ProblemData) -> str:
    """How many deals stay longer than the limit, and whether the policy asks for more than is usual."""
    share = "" if problem.exceed is None else f"{rounded(100 * problem.exceed)} %"
    if problem.usual is not None and _is_usual(problem):
        exceed = f", and {share} of deals stay longer" if share else ""
        usual = f"This stage is usually at {number(problem.usual)}{exceed}"
        return f". {usual}: the policy asks for more than the process can do"
    return f"; {share} of all deals stay longer" if share else ""


def _by_chance(problem: ProblemData) -> str:
    """How long chance takes to do the same; it takes longer where the condition must hold."""
    if not problem.chance:
        return ""
    if problem.chance > 1:
        often = f"{rounded(problem.chance)} times a quarter"
        return f". Chance alone may do this up to {often}" if problem.hold_seconds else f". {_ALONE} about {often}"
    if problem.chance < LEAST_CHANCE:
        return f". {_ALONE} less than once in {rounded(1 / LEAST_CHANCE)} quarters"
    most = "at most" if problem.hold_seconds else "about"
    return f". {_ALONE} {most} once in {rounded(1 / problem.chance)} quarters"


def _day_name(policy: Policy, pipeline: str, stage: str) -> str:
    """What a day is on the stage's clock."""
    found = policy.pipelines.get(pipeline)
    return "working day" if found is not None and found.clock_of(stage) != CALENDAR else "day"
