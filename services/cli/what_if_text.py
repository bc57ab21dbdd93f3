"""What `andon what-if` prints for people: one sentence for each problem, and what no rule could judge."""

from __future__ import annotations

from collections.abc import Iterator

from services.cli.console import counted
from services.cli.price_text import price_lines
from services.cli.what_if_sentences import RuleSentences
from shared.flow.coverage import Coverage, Share
from shared.flow.stage_lookup import UNKNOWN_PIPELINE
from shared.flow.what_if import Found
from shared.policy import Policy, StageTitles
from shared.wording.quantities import deals


def problem_lines(found: Found, covered: Coverage, policy: Policy, titles: StageTitles) -> Iterator[str]:
    """The problems rule by rule, rules that found none or had nothing to judge, and what each costs by chance."""
    sentences = RuleSentences(found, covered, policy, titles)
    yield judged_line(covered, sentences, policy, found)
    rules = list(sentences.rules())
    for rule in rules:
        if rule.sentences:
            yield from ("", f"{rule.name}: {counted(len(rule.sentences), 'problem', 'problems')}")
            yield from (f"  {sentence}" for sentence in rule.sentences)
    quiet = [f"  {rule.name}" for rule in rules if not rule.sentences and rule.had_events]
    idle = [f"  {rule.name}" for rule in rules if not rule.sentences and not rule.had_events]
    if not rules:
        yield from ("", "The policy has no rule, or all are off: it finds nothing, whatever happens.")
    if quiet:
        yield from ("", "These rules found no problem:", *quiet)
    if idle:
        yield from ("", "These rules had nothing to judge, as no deal was ever in their stage:", *idle)
    yield from price_lines(found, policy, rules)


def judged_line(covered: Coverage, sentences: RuleSentences, policy: Policy, found: Found) -> str:
    """`28 events of 7 deals, evaluated up to 3 Mar 2026 10:00. Times are in UTC.`"""
    judged = f"{counted(covered.total.events, 'event', 'events')} of {deals(covered.total.deals)}"
    return f"{judged}, evaluated up to {sentences.time(found.as_of)}. Times are in {policy.timezone}."


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
