"""What a page shows of rules that are tried: numbers in words, beside those in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.tickets.preview.fields import MODES, TriedRule, TriedWish
from shared import wording
from shared.contracts.preview import PreviewAnswer, PreviewedRule, PreviewProblem, RulePreview
from shared.flow.statistics.watched import pipeline_watches
from shared.policy import Mode, Pipeline, Policy, StageTitles
from shared.policy.numbers import decimal
from shared.policy.rule_checks import BOTTLENECK_BUDGET
from shared.runtime.instants import micros
from shared.wording.kind import KindWording
from shared.wording.prices import sum_sentences
from shared.wording.quantities import age, deals, rounded

_LONGEST_LIST = 12


@dataclass(frozen=True)
class InputView:
    """One field of the form. `choices`: of a select, else a text."""

    name: str
    label: str
    value: str
    written: str
    fault: str | None
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class FindingView:
    """What a rule finds, in words. `quarters`: openings in each, the oldest first."""

    total: int
    quarters: str
    chance: str
    open_share: str
    too_much: str | None


@dataclass(frozen=True)
class FoundView:
    """One problem that a rule would have found."""

    opened_at: datetime
    cleared_at: datetime | None
    length: str
    peak: str
    total: int | None
    deals: Sequence[tuple[str, str, str | None]]


@dataclass(frozen=True)
class RuleRow:
    """One entry of the policy: its inputs, and what it finds in force and as tried."""

    stage: str
    label: str
    inputs: Sequence[InputView]
    is_changed: bool
    is_learned: bool
    results: Sequence[ResultView]


@dataclass(frozen=True)
class ResultView:
    """What an entry finds in one stage. `problems`: as tried, the newest first."""

    stage: str
    label: str
    before: FindingView | None
    after: FindingView | None
    hint: str | None
    problems: Sequence[FoundView]


@dataclass(frozen=True)
class Sums:
    """All rules of the page together."""

    before: int
    after: int
    by_chance: str
    is_too_much: bool


def rows(
    rules: Sequence[TriedRule],
    wish: TriedWish,
    answer: PreviewAnswer | None,
    name: str,
    policy: Policy,
    titles: StageTitles,
) -> list[RuleRow]:
    """A row for each entry of the policy in force; `name`: of the pipeline."""
    previews = list(answer.rules) if answer else []
    found = []
    named = {(rule.kind, rule.stage) for rule in rules}
    for rule in rules:
        own = [
            one
            for one in previews
            if one.kind == rule.kind
            and (one.stage == rule.stage or (rule.stage is None and (one.kind, one.stage) not in named))
        ]
        title = "Every other stage" if rule.stage is None else titles.title(name, rule.stage)
        inputs = [
            InputView(
                one.name,
                one.label,
                wish.changed.get(one.name, one.written),
                one.written,
                wish.faults.get(one.name),
                MODES if one.key == "mode" else (),
            )
            for one in rule.fields
        ]
        is_changed = any(one.name in wish.changed for one in rule.fields)
        results = [result(one, answer, name, policy, titles) for one in own] if answer else []
        found.append(RuleRow(title, wording.of(rule.kind).label, inputs, is_changed, rule.is_learned, results))
    return found


def result(one: RulePreview, answer: PreviewAnswer, name: str, policy: Policy, titles: StageTitles) -> ResultView:
    """What one rule finds in one stage."""
    shown, kind = one.after.problems if one.after else (), wording.of(one.kind)
    place = titles.title(name, one.stage) if one.stage else policy.pipelines[name].name
    return ResultView(
        place,
        kind.label if one.measure is None else kind.title(place, one.measure),
        _finding(one.before),
        _finding(one.after),
        _hint(one),
        [_found(problem, answer, kind, one.measure is not None) for problem in shown[::-1][:_LONGEST_LIST]],
    )


def charts(answer: PreviewAnswer, name: str, policy: Policy, titles: StageTitles) -> list[ResultView]:
    """What rules on charts find."""
    return [result(one, answer, name, policy, titles) for one in answer.rules if one.measure is not None]


def sums(answer: PreviewAnswer, tried: Policy, name: str, titles: StageTitles) -> Sums:
    """How many problems all rules find, and how many tickets chance alone would open with the rules as tried."""
    pipeline = tried.pipelines[name]
    modes = {f"{rule.kind}/{name}/{rule.stage}": rule.mode for rule in pipeline.count_rules}
    active = [(one, one.after.per_quarter) for one in answer.rules if one.after and modes.get(one.key) is Mode.ACTIVE]
    known = [per_quarter for _, per_quarter in active if per_quarter is not None] + list(budgets(pipeline, name))
    unpriced = [
        f"{titles.title(name, one.stage)}, {wording.of(one.kind).label}"
        for one, per_quarter in active
        if per_quarter is None
    ]
    openings = None if unpriced and not known else rounded_share(sum(known))
    words = sum_sentences(openings, f"; you accept {decimal(pipeline.false_alarms)}", unpriced)
    return Sums(
        sum(sum(one.before.quarters) for one in answer.rules if one.before),
        sum(sum(one.after.quarters) for one in answer.rules if one.after),
        f"{words[:1].upper()}{words[1:]}",
        sum(known) > float(pipeline.false_alarms) + 1e-9,
    )


def budgets(pipeline: Pipeline, name: str) -> Iterator[float]:
    """Of the active rules whose budget says how often they open by chance."""
    for watch in pipeline_watches(name, pipeline):
        if watch.mode is Mode.ACTIVE:
            yield float(watch.per_quarter)
    for learned in pipeline.learned_rules.values():
        if learned.mode is Mode.ACTIVE:
            yield float(learned.budget)
    for bottleneck in pipeline.bottleneck_rules.values():
        if bottleneck.mode is Mode.ACTIVE:
            yield float(BOTTLENECK_BUDGET)


def rounded_share(value: float) -> str:
    """`1.4`, `0.03`; below a hundredth as such."""
    if value == 0 or value >= 1:
        return rounded(value)
    return f"{value:.2f}" if value >= 0.01 else "0.01"


def chance_words(per_quarter: float | None) -> str:
    """How often chance alone opens a problem of a rule."""
    if per_quarter is None:
        return "not known: the history is shorter than 180 days"
    if per_quarter > 1:
        return f"about {rounded(per_quarter)} times a quarter"
    if per_quarter < 0.001:
        return "less than once in 1,000 quarters"
    return f"about once in {rounded(1 / per_quarter)} quarters"


def _finding(found: PreviewedRule | None) -> FindingView | None:
    if found is None:
        return None
    too_much = None
    if found.is_usual:
        too_much = f"This stage is usually at {rounded(found.usual or 0)}: the rule asks for more than it can do."
    return FindingView(
        sum(found.quarters),
        " · ".join(map(str, found.quarters)),
        chance_words(found.per_quarter),
        f"{100 * found.open_share:.0f} %",
        too_much,
    )


def _hint(one: RulePreview) -> str | None:
    """What the stage's own past suggests for the number of the rule, or what is missing to judge it."""
    found = one.after or one.before
    if found is not None and found.weeks == 0:
        after = "four" if one.measure else "eight"
        return f"Nothing could be judged yet: a baseline of 20 weeks and {after} weeks after it are needed."
    if found is None or found.suggested is None:
        return None
    usual = "" if found.usual is None else f"Usually {rounded(found.usual)} deals count. "
    if found.is_learned:
        return f"{usual}It opens from {deals(found.suggested)} on, as learned this week."
    exceed = "" if found.exceed is None else f"{rounded(100 * found.exceed)} % of deals stay longer. "
    return f"{usual}{exceed}With {found.suggested} in place of the number, chance opens it at most once in 10 quarters."


def _found(problem: PreviewProblem, answer: PreviewAnswer, kind: KindWording[Any], is_on_chart: bool) -> FoundView:
    end = problem.cleared_at or answer.as_of
    shown = [
        (one.name or one.deal.partition(":")[2] or one.deal, _for(one.since, problem.opened_at), _safe(one.url))
        for one in problem.deals
    ]
    seconds = (micros(end) - micros(problem.opened_at)) / 1_000_000
    peak = f"{kind.extreme} {kind.counted(problem.peak)}"
    return FoundView(problem.opened_at, problem.cleared_at, age(seconds), peak, problem.total, shown)


def _for(since: datetime, until: datetime) -> str:
    return age((until - since).total_seconds())


def _safe(url: str | None) -> str | None:
    return url if url and url.startswith(("https://", "http://")) else None
