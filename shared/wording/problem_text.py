"""A problem in a manager's words: title, sentence, what it asks for, and the finding of its chart."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared import wording
from shared.contracts.problems import CauseClass, ProblemData
from shared.policy import Policy, StageTitles
from shared.policy.durations import parse_duration
from shared.policy.model import CALENDAR, CountRule
from shared.wording.kind import ProblemFacts
from shared.wording.quantities import number


@dataclass(frozen=True)
class ProblemText:
    """All words about a problem. `pipeline` and `stage` are names, or ids where the policy has none."""

    pipeline: str
    stage: str
    title: str
    sentence: str
    asks_for: str
    finding: str


def text_of(problem: ProblemData, policy: Policy, titles: StageTitles) -> ProblemText:
    """The words about a problem. Kinds and stages that are not known go by their ids."""
    pipeline = policy.pipelines.get(problem.pipeline)
    stage = _place(problem, policy, titles)
    kind, facts = wording.of(problem.kind), _facts(problem, stage, policy)
    return ProblemText(
        pipeline.name if pipeline else problem.pipeline,
        stage,
        kind.title(stage, problem.signal.measure if problem.signal else None),
        f"{kind.sentence(facts)}{_usually(problem)}.",
        asks_for(problem, policy.timezone),
        kind.finding(facts),
    )


def _place(problem: ProblemData, policy: Policy, titles: StageTitles) -> str:
    """The stage's name; the pipeline's, for a problem of the whole pipeline."""
    if problem.stage:
        return titles.title(problem.pipeline, problem.stage)
    pipeline = policy.pipelines.get(problem.pipeline)
    return pipeline.name if pipeline else problem.pipeline


def limit_of(problem: ProblemData, policy: Policy) -> str:
    """The rule's limit on the stage's clock: `21 days`, `12 working days`. Empty where it has none."""
    if problem.limit is None:
        return ""
    return parse_duration(problem.limit).words(_day_name(policy, problem.pipeline, problem.stage or ""))


def watched(rule: CountRule, pipeline: str, policy: Policy) -> str:
    """What a rule looks for: `6 deals or more for longer than 21 days`"""
    return wording.of(rule.kind).watched(rule, _day_name(policy, pipeline, rule.stage))


def asks_for(problem: ProblemData, zone: str) -> str:
    """What the class of the cause asks of the manager. `zone`: of the policy, whose weeks are meant."""
    if problem.cause_class is CauseClass.SPECIAL:
        return f"Something happened around {_week(problem, zone)}: find it before you change anything."
    if problem.cause_class is CauseClass.COMMON:
        return "Stable, but not able to meet the aim: no date will explain it; the policy or the system must change."
    return wording.of(problem.kind).unknown_cause


def _week(problem: ProblemData, zone: str) -> str:
    """The week in which the problem began: the first of those that stand out, else that of its opening."""
    if problem.signal is not None and problem.signal.weeks:
        return problem.signal.weeks[0]
    year, week, _ = problem.opened_at.astimezone(ZoneInfo(zone)).isocalendar()
    return f"{year}-W{week:02}"


def _facts(problem: ProblemData, stage: str, policy: Policy) -> ProblemFacts:
    is_over = problem.cleared_at is not None
    count = problem.peak if is_over else problem.count
    limit = limit_of(problem, policy)
    return ProblemFacts(stage, count, problem.threshold, limit, is_over, problem.signal, problem.chance)


def _usually(problem: ProblemData) -> str:
    if problem.usual is None:
        return ""
    return f"; usually {number(problem.usual) if problem.usual else 'none'}"


def _day_name(policy: Policy, pipeline: str, stage: str) -> str:
    """What a day is on the stage's clock."""
    found = policy.pipelines.get(pipeline)
    return "working day" if found is not None and found.clock_of(stage) != CALENDAR else "day"
