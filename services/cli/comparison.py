"""What two policies find in one log: problems in both and only in one, and what each rule costs by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from services.cli.console import OutputForm, counted, message, print_json, print_line
from services.cli.price_text import rate, sum_of
from services.cli.what_if import WhatIfAnswer
from services.cli.what_if_json import interval_json
from services.cli.what_if_sentences import JudgedRule, RuleSentences
from services.cli.what_if_text import judged_line, unjudged_lines
from shared.flow.comparison import Overlap, compared
from shared.flow.statistics.prices import PipelinePrice, RulePrice, pipeline_prices, rule_prices
from shared.policy import StageTitles


class PolicyFindings(NamedTuple):
    """One of the two policies. `label`: `A` or `B`."""

    label: str
    file: str
    answer: WhatIfAnswer
    sentences: RuleSentences
    rules: Mapping[str, JudgedRule]
    prices: Mapping[str, RulePrice]

    @property
    def sums(self) -> dict[str, PipelinePrice]:
        return pipeline_prices(self.answer.policy, self.prices.values())


def print_comparison(answers: Sequence[WhatIfAnswer], files: Sequence[Path], form: OutputForm) -> None:
    """Sentences, or JSON. What a policy could not judge is repeated on standard error."""
    first, second = (
        _findings(label, str(file), answer) for label, file, answer in zip("AB", files, answers, strict=True)
    )
    if form is OutputForm.JSON:
        print_json(_record(first, second))
    else:
        for line in _lines(first, second):
            print_line(line)
    for side in (first, second):
        policy = side.answer.policy
        for line in unjudged_lines(side.answer.coverage, policy, StageTitles.of(policy)):
            message(f"{side.label}: {line}" if line else "")


def _findings(label: str, file: str, answer: WhatIfAnswer) -> PolicyFindings:
    sentences = RuleSentences(answer.found, answer.coverage, answer.policy, StageTitles.of(answer.policy))
    rules = {rule.key: rule for rule in sentences.rules()}
    return PolicyFindings(label, file, answer, sentences, rules, rule_prices(answer.policy, answer.found.statistics))


def _lines(first: PolicyFindings, second: PolicyFindings) -> Iterator[str]:
    answer = first.answer
    yield judged_line(answer.coverage, first.sentences, answer.policy, answer.found)
    yield from (f"{side.label}: {side.file}" for side in (first, second))
    rules = list(compared(first.answer.found.problems, second.answer.found.problems))
    groups = [group for _, found in rules for group in found]
    in_both = sum(group.in_both for group in groups)
    only = [sum(len(group[side]) for group in groups if not group.in_both) for side in (0, 1)]
    problems = counted(in_both, "problem", "problems")
    yield from ("", f"{problems} in both, {only[0]} only in A, {only[1]} only in B.")
    quiet = [key for key, found in rules if not found]
    for key, found in rules:
        if found:
            yield from ("", *_rule(key, found, first, second))
    if quiet:
        yield from ("", "These rules found no problem:")
        yield from (f"  {line}" for key in quiet for line in _names(key, first, second))
    yield from ("", "Together:")
    yield from (f"  {side.label}, {line}" for side in (first, second) for line in _totals(side))


def _rule(key: str, found: Sequence[Overlap], first: PolicyFindings, second: PolicyFindings) -> Iterator[str]:
    yield from _names(key, first, second)
    for group in found:
        where = "in both" if group.in_both else "only in A" if group.first else "only in B"
        of_first, of_second = _sentences(key, group.first, first), _sentences(key, group.second, second)
        if of_first == of_second:
            yield from (f"  {where}: {sentence}" for sentence in of_first)
        elif group.in_both:
            yield from (f"  {where}, A: {sentence}" for sentence in of_first)
            yield from (f"  {where}, B: {sentence}" for sentence in of_second)
        else:
            yield from (f"  {where}: {sentence}" for sentence in (*of_first, *of_second))


def _sentences(key: str, numbers: Sequence[int], side: PolicyFindings) -> list[str]:
    return [side.rules[key].sentences[number] for number in numbers]


def _names(key: str, first: PolicyFindings, second: PolicyFindings) -> Iterator[str]:
    """What the rule looks for in each policy, and what it costs; once where both say the same."""
    names = [f"{side.rules[key].name}; {_price(side, key)}" if key in side.rules else "" for side in (first, second)]
    if names[0] == names[1]:
        yield names[0]
        return
    yield from (f"{side.label}: {name or 'no such rule'}" for side, name in zip((first, second), names, strict=True))


def _price(side: PolicyFindings, key: str) -> str:
    per_quarter = side.prices[key].chance.per_quarter
    return "by chance not known" if per_quarter is None else f"by chance at most {rate(per_quarter)} a quarter"


def _totals(side: PolicyFindings) -> Iterator[str]:
    names = {key: rule.name for key, rule in side.rules.items()}
    for name, total in side.sums.items():
        yield f"{side.answer.policy.pipelines[name].name}: {sum_of(total, names)}"


def _record(first: PolicyFindings, second: PolicyFindings) -> dict[str, Any]:
    found = first.answer.found.problems, second.answer.found.problems
    sides = (first, second)
    return {
        "policies": [_side(side) for side in sides],
        "rules": {
            key: {
                "chance": [side.prices[key].chance.fields() if key in side.prices else None for side in sides],
                "both": [_group(key, group, found) for group in groups if group.in_both],
                "only": [
                    [interval_json(one[key][number]) for group in groups if not group.in_both for number in group[side]]
                    for side, one in enumerate(found)
                ],
            }
            for key, groups in compared(*found)
        },
    }


def _group(key: str, group: Overlap, found: Sequence[Mapping[str, Sequence[Any]]]) -> list[list[dict[str, Any]]]:
    return [[interval_json(one[key][number]) for number in group[side]] for side, one in enumerate(found)]


def _side(side: PolicyFindings) -> dict[str, Any]:
    return {
        "file": side.file,
        "version": side.answer.policy.digest,
        "unjudged": side.answer.coverage.unjudged,
        "pipelines": {name: one.fields() for name, one in side.sums.items()},
    }
