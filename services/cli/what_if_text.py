"""What `andon what-if` prints for people: one sentence for each problem, and what no rule could judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from services.cli.console import counted
from shared import wording
from shared.flow.coverage import Coverage, Share
from shared.flow.intervals import Interval
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.visits import UNKNOWN_PIPELINE
from shared.flow.what_if import Found
from shared.policy import Mode, Policy, StageTitles
from shared.policy.model import CALENDAR
from shared.runtime.instants import moment
from shared.wording.kind import ProblemFacts
from shared.wording.problem_text import watched
from shared.wording.quantities import deals


def problem_lines(found: Found, covered: Coverage, policy: Policy, titles: StageTitles) -> Iterator[str]:
    """The problems rule by rule, those that found none, and those that had nothing to judge."""
    zone = ZoneInfo(policy.timezone)
    judged = f"{counted(covered.total.events, 'event', 'events')} of {deals(covered.total.deals)}"
    yield f"{judged}, evaluated up to {_time(found.as_of, zone)}. Times are in {policy.timezone}."
    rules, quiet, idle = Ruleset(policy).rules, list[str](), list[str]()
    for rule in rules:
        if intervals := found.problems[rule.key]:
            yield ""
            yield f"{_name(rule, policy, titles)}: {counted(len(intervals), 'problem', 'problems')}"
            yield from (f"  {_sentence(rule, one, found.as_of, policy, titles, zone)}" for one in intervals)
        else:
            was_entered = (rule.pipeline, rule.stage) in covered.entered
            (quiet if was_entered else idle).append(f"  {_name(rule, policy, titles)}")
    if not rules:
        yield from ("", "The policy has no rule, or all are off: it finds nothing, whatever happens.")
    if quiet:
        yield from ("", "These rules found no problem:", *quiet)
    if idle:
        yield from ("", "These rules had nothing to judge, as no deal was ever in their stage:", *idle)


def unjudged_lines(covered: Coverage, policy: Policy, titles: StageTitles) -> Iterator[str]:
    """How many events lie where no rule looks, and where that is; none if there are none."""
    total = covered.total.events
    if in_unknown := sum(share.events for share in covered.unknown.values()):
        yield ""
        yield (
            f"Not judged: {in_unknown} of {counted(total, 'event', 'events')} "
            f"{'lies' if in_unknown == 1 else 'lie'} in pipelines and stages that the policy does not know:"
        )
        for (pipeline, stage), share in sorted(covered.unknown.items(), key=lambda item: -item[1].events):
            yield f"  {_place(pipeline, stage, policy)}: {_share(share)}"
        yield "Add them to the policy, correct their ids, or name them with --stages."
    if covered.without_stage.events:
        yield ""
        yield f"Not judged: {_share(covered.without_stage)} for which no event names a stage."


def _share(share: Share) -> str:
    return f"{counted(share.events, 'event', 'events')} of {deals(share.deals)}"


def _place(pipeline: str, stage: str, policy: Policy) -> str:
    if pipeline == UNKNOWN_PIPELINE:
        return f"stage {stage}, of no named pipeline"
    known = "" if pipeline in policy.pipelines else " (not in the policy)"
    return f"pipeline {pipeline}{known}, stage {stage}"


def _name(rule: Rule, policy: Policy, titles: StageTitles) -> str:
    """`New business, Lead: more than 45 deals (wip-high)`"""
    mode = ", monitored only" if rule.mode is Mode.MONITOR else ""
    stage = titles.title(rule.pipeline, rule.stage)
    what = watched(rule.rule, rule.pipeline, policy)
    return f"{policy.pipelines[rule.pipeline].name}, {stage}: {what} ({rule.kind}{mode})"


def _sentence(rule: Rule, interval: Interval, as_of: int, policy: Policy, titles: StageTitles, zone: ZoneInfo) -> str:
    """`3 Mar 2026 10:00 to 5 Mar 2026 12:00 (2 days 2 hours): at most 61 deals were in Lead; the limit is 45.`"""
    facts = ProblemFacts(
        titles.title(rule.pipeline, rule.stage), interval.peak, rule.threshold, _limit(rule, policy), is_over=True
    )
    text = wording.of(rule.kind).sentence(facts)
    end = as_of if interval.cleared_at is None else interval.cleared_at
    began, length = _time(interval.opened_at, zone), _length((end - interval.opened_at) // 1_000_000)
    if interval.cleared_at is None:
        return f"Since {began}, still open after {length}: {text}."
    return f"{began} to {_time(interval.cleared_at, zone)} ({length}): {text}."


def _limit(rule: Rule, policy: Policy) -> str:
    """`21 days`; empty where the rule has no limit."""
    if rule.limit is None:
        return ""
    is_calendar = policy.pipelines[rule.pipeline].clock_of(rule.stage) == CALENDAR
    return str(rule.rule.limit.words("day" if is_calendar else "working day"))


def _time(instant: int, zone: ZoneInfo) -> str:
    """`3 Mar 2026 10:00`"""
    local: datetime = moment(instant).astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M}"


def _length(seconds: int) -> str:
    """`3 days 4 hours`, `25 minutes`: the two largest units."""
    parts = [(seconds // 86_400, "day"), (seconds // 3600 % 24, "hour"), (seconds // 60 % 60, "minute")]
    named = [counted(number, unit, f"{unit}s") for number, unit in parts if number]
    return " ".join(named[:2]) or "less than a minute"
