"""A suggested policy as YAML, with comments that say what its numbers rest on and what each rule costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from shared.flow.statistics.learned_limits import NotLearned
from shared.flow.statistics.survival import MIN_FINISHED
from shared.flow.statistics.watched import pipeline_watches
from shared.flow.suggest.detection import detections
from shared.flow.suggest.found_stages import FoundPipeline, FoundStage
from shared.flow.suggest.suggestion import FALSE_ALARMS, PipelineSuggestion, StageSuggestion
from shared.policy import Policy, StageOutcome, parse
from shared.policy.numbers import decimal
from shared.wording.quantities import age, rounded

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_OWNER = "{name: Owner, mail: owner@example.org}"
_BASELINE = 20
_WHY = {
    NotLearned.LOG_TOO_SHORT: "nothing is learned yet: the log covers less than 180 days",
    NotLearned.NOT_ENOUGH_DATA: "nothing is learned yet: {finished} finished visits in 180 days, {least} are needed",
    NotLearned.NO_LIMIT: "no limit: more than 15 % of the visits are not over, however old they are",
}
_HEAD = """\
# A starting policy, made from {events} events of {deals} ({since} to {until}).
# Every number comes from this log. Correct the owners, the time zone and the names, then run:
#   andon policy check FILE --against EVENTS
# Limits on WIP are only shown (mode: monitor); set mode: active where a ticket is to be opened.
"""


def stages_text(pipelines: Iterable[FoundPipeline], zone: str) -> str:
    """A policy of the stages alone, without rules."""
    return "\n".join([*_top(zone), *(line for one in pipelines for line in _pipeline(one, []))]) + "\n"


def policy_text(suggestions: Sequence[PipelineSuggestion], zone: str, facts: Mapping[str, object]) -> str:
    """The whole policy. `facts`: events, deals, since, until of the log."""
    bare = [*_top(zone), *(line for one in suggestions for line in _pipeline(one.found, list(_rules(one))))]
    policy = parse("\n".join(bare) + "\n")
    lines = [_HEAD.format(**facts) + "\n".join(_top(zone))]
    for one in suggestions:
        lines += _pipeline(one.found, [*_price(one, policy), *_rules(one)])
    lines += ["silence:", "  - {budget: 0.1}                # every source: one false ticket in 10 quarters each"]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text as a scalar of YAML, on one line, also within braces."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _top(zone: str) -> list[str]:
    return ["version: 1", f"timezone: {quoted(zone)}", "pipelines:"]


def _pipeline(found: FoundPipeline, rules: Sequence[str]) -> Iterator[str]:
    yield f"  {quoted(found.key)}:"
    yield f"    name: {quoted(found.name or found.key)}"
    yield f"    owner: {_OWNER}"
    yield f"    false_alarms: {decimal(FALSE_ALARMS)}              # openings a quarter by chance that you accept"
    yield "    stages:                      # open ones in the order in which the deals of the log passed them"
    yield from (f"      - {{{', '.join(_stage(stage))}}}" for stage in found.stages)
    if rules:
        yield from ("    rules:", *(f"      {line}" for line in rules))


def _stage(stage: FoundStage) -> Iterator[str]:
    yield f"id: {quoted(stage.id)}"
    if stage.name and stage.name != stage.id:
        yield f"name: {quoted(stage.name)}"
    if stage.outcome is not StageOutcome.OPEN:
        yield f"outcome: {stage.outcome.value}"


def _price(one: PipelineSuggestion, policy: Policy) -> Iterator[str]:
    """What the charts cost, and how soon they find what."""
    watched = pipeline_watches(one.found.key, policy.pipelines[one.found.key])
    share = watched[0].per_quarter
    yield f"# Charts: {len(watched)} are watched; by chance each opens a ticket at most once in {_quarters(share)}."
    yield "# A lasting change of one chart, in standard deviations of its weeks, is found (simulated):"
    for found in detections(share):
        when = "half of them later than 26 weeks" if found.weeks is None else f"half of them in {found.weeks} weeks"
        yield f"#   {found.size:g} sd: {when}, {100 * found.within_quarter:.0f} % within 13 weeks"
    if one.weeks <= _BASELINE:
        whole = max(one.weeks - 1, 0)
        yield f"# The log has {whole} whole weeks: charts are judged once their baseline of {_BASELINE} is complete."


def _rules(one: PipelineSuggestion) -> Iterator[str]:
    """The rules as items of a list, each below the comment that explains it."""
    yield "- {kind: shift}                # time in each stage, arrivals, throughput, lead time, win rate"
    if one.has_rework:
        yield "- {kind: rework}               # deals that come back to a stage"
    if one.has_closes:
        yield "- {kind: slipping}             # close dates that are moved to a later day"
    for stage in one.stages:
        yield f"# {_shown(stage.stage.name or stage.stage.id)}: {stage.visits} visits"
        yield from _aging(stage)
        yield from _wip(stage)
        if stage.has_bottleneck:
            yield f"- {{kind: bottleneck, stage: {quoted(stage.stage.id)}}}   # one false ticket in 10 quarters"


def _aging(one: StageSuggestion) -> Iterator[str]:
    """The learned limit and count, and the rule that follows them."""
    version = one.learned
    if version.limit is None or version.crossings is None:
        finished = 0 if version.learned is None else version.learned.finished
        reason = "" if version.why is None else _WHY[version.why].format(finished=finished, least=MIN_FINISHED)
        yield f"#   {reason}"
    else:
        usual = rounded(float(version.crossings.mean))
        limit = age(version.limit / 1_000_000)
        yield f"#   15 % of visits last longer than {limit}; usually {usual} open deals are older."
        yield f"#   A ticket opens at {version.count}. Limit and count are learned anew each week."
    if one.budget is None:
        yield "#   aging-learned is left to the stages with more visits."
        return
    rule = f"{{kind: aging-learned, stage: {quoted(one.stage.id)}, budget: {decimal(one.budget)}}}"
    if version.why is NotLearned.NO_LIMIT:
        yield f"# - {rule}"
    else:
        yield f"- {rule}   # one false ticket in {_quarters(one.budget)}"


def _wip(one: StageSuggestion) -> Iterator[str]:
    """The usual WIP, and limits in mode monitor: whether to open tickets on WIP is the owner's decision."""
    if one.wip is None:
        yield "#   WIP: too few stable weeks, or the log covers less than 180 days, to name a range."
        return
    found, stage = one.wip, quoted(one.stage.id)
    yield f"#   WIP was {found.least} to {found.most} at the ends of {found.weeks} stable weeks."
    if found.high is not None:
        yield f"- {{kind: wip-high, stage: {stage}, max: {found.high}, clear_hold: 1d, mode: monitor}}"
    if found.low is not None:
        yield f"- {{kind: wip-low, stage: {stage}, min: {found.low}, clear_hold: 1d, mode: monitor}}"


def _quarters(per_quarter: Fraction) -> str:
    return f"{rounded(float(1 / per_quarter))} quarters"


def _shown(name: str) -> str:
    """A name from outside within a comment."""
    return quoted(name)
