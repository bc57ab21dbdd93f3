"""What the rules of a policy cost in tickets by chance alone, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.cli.console import aligned
from services.cli.what_if_sentences import JudgedRule
from shared.contracts.envelope import iso
from shared.flow.statistics.chance import CountChance
from shared.flow.statistics.prices import PipelinePrice, RulePrice, pipeline_prices, rule_prices
from shared.flow.what_if import Found
from shared.policy import Policy
from shared.policy.numbers import decimal
from shared.runtime.instants import moment
from shared.wording.prices import sum_sentences
from shared.wording.quantities import number

_HEADER = ("openings a quarter by chance", "usual number", "will exceed the limit", "rule")
# Rarer than this is printed as such.
_RAREST = 0.001


def price_lines(found: Found, policy: Policy, rules: Sequence[JudgedRule]) -> Iterator[str]:
    """By pipeline: each rule's price, their sum beside what the owner accepts, and rules that ask for too much."""
    prices = rule_prices(policy, found.statistics)
    sums, names = pipeline_prices(policy, prices.values()), {rule.key: rule.name for rule in rules}
    for name, pipeline in policy.pipelines.items():
        own = [(rule, prices[rule.key]) for rule in rules if prices[rule.key].pipeline == name]
        if own:
            yield from ("", f"{pipeline.name}: {sum_of(sums[name], names)}", *_table(own))
            yield from (_too_much(rule, price) for rule, price in own if price.is_usual)
    of_sources = [(rule, prices[rule.key]) for rule in rules if not prices[rule.key].pipeline]
    if of_sources:
        yield from ("", "Sources:", *_table(of_sources))


def price_record(found: Found, policy: Policy) -> dict[str, Any]:
    """As JSON: by problem key and by pipeline. None: the log is too short to tell."""
    prices = rule_prices(policy, found.statistics)
    sums = pipeline_prices(policy, prices.values())
    return {
        "as_of": iso(moment(found.as_of)),
        "chance": {
            key: price.chance.fields() | {"mode": price.mode.value, "is_usual": price.is_usual}
            for key, price in prices.items()
        },
        "pipelines": {name: one.fields() for name, one in sums.items()},
    }


def sum_of(price: PipelinePrice, names: Mapping[str, str]) -> str:
    """`chance alone opens at most 1.4 tickets a quarter; the policy accepts 2.` `names`: of rules, by problem key."""
    accepted = decimal(price.accepted)
    verdict = f"; the policy accepts {accepted} (false_alarms)"
    if price.is_exceeded:
        verdict = f", more than the {accepted} that the policy accepts (false_alarms): raise limits or counts"
    openings = None if price.by_chance is None else rate(price.by_chance)
    return sum_sentences(openings, verdict, [names[key] for key in price.unpriced])


def _table(priced: Sequence[tuple[JudgedRule, RulePrice]]) -> Iterator[str]:
    rows = [_row(rule, price) for rule, price in priced]
    return (f"  {line}" for line in aligned(_HEADER, rows))


def _row(rule: JudgedRule, price: RulePrice) -> tuple[str, str, str, str]:
    chance = price.chance
    shown = "not known" if chance.per_quarter is None else rate(chance.per_quarter)
    if not isinstance(chance, CountChance):
        return shown, "", "", rule.name
    usual = "" if chance.usual is None else number(chance.usual)
    return shown, usual, "" if chance.exceed is None else f"{100 * chance.exceed:.0f} %", rule.name


def _too_much(rule: JudgedRule, price: RulePrice) -> str:
    usual = price.chance.usual if isinstance(price.chance, CountChance) else None
    return (
        f"  {rule.name}: this stage is usually at {number(usual or 0)}:"
        " the policy asks for more than the process can do."
    )


def rate(per_quarter: float) -> str:
    """At most two significant digits below ten."""
    if 0 < per_quarter < _RAREST:
        return f"below {_RAREST}"
    return f"{per_quarter:.0f}" if per_quarter >= 10 else f"{per_quarter:.2g}"
