"""A problem in a manager's words: title, sentence, what it asks for, and the finding of its chart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.contracts.problems import CauseClass, ProblemData
from shared.policy import Policy
from shared.policy.durations import Duration, parse_duration
from shared.policy.model import CALENDAR, RulePolicy


@dataclass(frozen=True)
class ProblemText:
    """All that is said of a problem."""

    pipeline: str
    stage: str
    title: str
    sentence: str
    asks_for: str
    finding: str


def tell(problem: ProblemData, policy: Policy) -> ProblemText:
    """Names come from the policy; what the policy does not know is called by its id."""
    pipeline = policy.pipelines.get(problem.pipeline)
    stage = policy.stage(problem.pipeline, problem.stage or "")
    name = stage.title if stage else problem.stage or problem.pipeline
    sentence = f"{_count(problem, name, policy)}{_usually(problem)}."
    return ProblemText(
        pipeline.name if pipeline else problem.pipeline,
        name,
        title(problem.kind, name),
        sentence,
        asks_for(problem, policy),
        _finding(problem, name, policy),
    )


def title(kind: str, stage: str) -> str:
    """Stable over a ticket's life: it is the subject of the whole thread of mails."""
    return {
        "aging": f"Deals wait too long in {stage}",
        "wip-high": f"Too much work in {stage}",
        "wip-low": f"{stage} is running dry",
        "stalled": f"Deals stand still in {stage}",
    }.get(kind, f"{kind} in {stage}")


def number(value: float) -> str:
    """`3`, `2.5`"""
    return f"{value:.1f}".removesuffix(".0")


def deals(count: int) -> str:
    return "1 deal" if count == 1 else f"{count} deals"


def limit(problem: ProblemData, policy: Policy) -> str:
    """`21 days`, `12 working days`"""
    if problem.limit is None:
        return ""
    return _length(parse_duration(problem.limit), policy, problem.pipeline, problem.stage or "")


def _length(duration: Duration, policy: Policy, pipeline: str, stage: str) -> str:
    found = policy.pipelines.get(pipeline)
    business = found is not None and found.clock_of(stage) != CALENDAR
    return duration.words("working day" if business else "day")


def watched(rule: RulePolicy, pipeline: str, policy: Policy) -> str:
    """What a rule looks for: `6 deals or more for longer than 21 days`"""
    if rule.kind == "wip-high":
        return f"more than {deals(rule.max)}"
    if rule.kind == "wip-low":
        return f"fewer than {deals(rule.min)}"
    length = _length(rule.limit, policy, pipeline, rule.stage)
    many = "any deal" if rule.count == 1 else f"{deals(rule.count)} or more"
    return f"{many} for longer than {length}" if rule.kind == "aging" else f"{many} without progress for {length}"


def age(seconds: float, day_seconds: int) -> str:
    """`47 days`, `3 working days`, `5 hours`: days of the stage's clock, hours below one."""
    count, name = int(seconds // day_seconds), "day" if day_seconds == 86_400 else "working day"
    if not count:
        count, name = int(seconds // 3600), "hour"
    if not count:
        return "less than an hour"
    return f"{count} {name}{'' if count == 1 else 's'}"


def ages(oldest: float, median: float | None, stage: str, day_seconds: int) -> str:
    """The title of the chart of ages."""
    longest = f"The longest has been in {stage} for {age(oldest, day_seconds)}"
    if median is None:
        return longest
    unit = day_seconds if median >= day_seconds else 3600
    # Half are there for so long: it must not be told as less.
    about = max(1, math.ceil(median / unit)) * unit
    # Of one deal, or of deals that came in together, there is no half; and the median may be of the day before.
    if about > oldest or age(about, day_seconds) == age(oldest, day_seconds):
        return longest
    return f"{longest}; half for about {age(about, day_seconds)}"


def _count(problem: ProblemData, stage: str, policy: Policy) -> str:
    over = problem.cleared_at is not None
    count = problem.peak if over else problem.count
    many = f"At most {deals(count)}" if over else deals(count)
    have, are = ("has", "is") if count == 1 else ("have", "are")
    if over:
        have, are = "had", "was" if count == 1 else "were"
    if problem.kind == "aging":
        return f"{many} {have} been in {stage} for more than {limit(problem, policy)}"
    if problem.kind == "stalled":
        return f"{many} in {stage} {have} shown no progress for {limit(problem, policy)}"
    if problem.kind == "wip-low":
        return f"{_few(count, over)} in {stage}; the next stages need at least {problem.threshold} there"
    return f"{many} {are} in {stage}; the limit is {problem.threshold}"


def _few(count: int, over: bool) -> str:
    """`No deal is`, `At the lowest, 2 deals were`"""
    if over:
        return f"At the lowest, {deals(count) if count else 'no deal'} {'were' if count > 1 else 'was'}"
    return f"{deals(count) if count else 'No deal'} {'are' if count > 1 else 'is'}"


def _usually(problem: ProblemData) -> str:
    if problem.usual is None:
        return ""
    there = "none is" if problem.usual == 0 else f"{number(problem.usual)} {'is' if problem.usual == 1 else 'are'}"
    return f"; usually {there}"


def asks_for(problem: ProblemData, policy: Policy) -> str:
    """What the class of the cause asks of the manager."""
    since = day(problem.opened_at, policy.timezone)
    if problem.cause_class is CauseClass.SPECIAL:
        return f"Find out what happened around {since}: this lies outside of what the weeks before let expect."
    if problem.cause_class is CauseClass.COMMON:
        return (
            "Change the policy or the system: this is its ordinary way of working, and no single day will explain it."
        )
    return "Look, but do not conclude yet: too few days are known to tell the unusual from the ordinary."


def _finding(problem: ProblemData, stage: str, policy: Policy) -> str:
    """The title of the chart: what it shows, in a sentence."""
    over = problem.cleared_at is not None
    count = deals(problem.peak if over else problem.count)
    if problem.kind == "wip-low":
        held = f"held {count} at the lowest" if over else f"holds {count}"
        return f"{stage} {held}; it needs at least {problem.threshold}"
    held = f"held at most {count}" if over else f"holds {count}"
    if problem.kind == "aging":
        return f"{stage} {held} older than {limit(problem, policy)}"
    if problem.kind == "stalled":
        return f"{stage} {held} without progress for {limit(problem, policy)}"
    return f"{stage} {held}; the limit is {problem.threshold}"


def day(moment: datetime, zone: str) -> str:
    """`3 November`"""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%B}"
