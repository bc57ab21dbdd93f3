"""What the rules of a policy cost in tickets that chance alone opens, beside what the owner accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.chance import Chance, CountChance, is_usual
from shared.flow.statistics.log_statistics import LogStatistics
from shared.policy import Mode, Policy


class RulePrice(NamedTuple):
    """One rule that is not off. `key`: of its problem; `pipeline` is empty for a rule on a source.

    `is_usual`: the stage is usually in the state that the rule calls a problem.
    """

    key: str
    pipeline: str
    mode: Mode
    chance: Chance
    is_usual: bool = False


class PipelinePrice(NamedTuple):
    """The active rules of a pipeline together, in openings in 91 days by chance alone.

    `accepted`: what the owner accepts. `by_chance`: None where no rule has a price, though there are rules. `unpriced`:
    problem keys of the rules that the log is too short for.
    """

    accepted: Fraction
    by_chance: float | None
    unpriced: Sequence[str] = ()

    @property
    def is_exceeded(self) -> bool:
        """Whether chance alone opens more than the owner accepts. Sums of doubles are equal within 1e-9."""
        return (self.by_chance or 0.0) > float(self.accepted) + 1e-9

    def fields(self) -> dict[str, Any]:
        """As it is printed."""
        accepted = float(self.accepted)
        return {"false_alarms": accepted, "by_chance": self.by_chance, "unknown": len(self.unpriced)}


def rule_prices(policy: Policy, statistics: LogStatistics) -> dict[str, RulePrice]:
    """The price of every rule that is not off, by problem key."""
    found = statistics.chances
    prices = [_count_price(rule, found[rule.key]) for rule in Ruleset(policy).rules]
    prices += [RulePrice(watch.key, watch.chart.pipeline, watch.mode, found[watch.key]) for watch in statistics.watches]
    prices += [RulePrice(key, name, mode, found[key]) for key, name, mode in _budgeted(statistics)]
    return {price.key: price for price in prices}


def pipeline_prices(policy: Policy, prices: Iterable[RulePrice]) -> dict[str, PipelinePrice]:
    """By pipeline, the sum over its active rules."""
    active = [price for price in prices if price.mode is Mode.ACTIVE]
    return {
        name: _together(pipeline.false_alarms, [price for price in active if price.pipeline == name])
        for name, pipeline in policy.pipelines.items()
    }


def _together(accepted: Fraction, prices: Sequence[RulePrice]) -> PipelinePrice:
    known = [price.chance.per_quarter for price in prices if price.chance.per_quarter is not None]
    unpriced = [price.key for price in prices if price.chance.per_quarter is None]
    return PipelinePrice(accepted, None if unpriced and not known else sum(known), unpriced)


def _count_price(rule: Rule, chance: Chance) -> RulePrice:
    usual = isinstance(chance, CountChance) and is_usual(rule, chance)
    return RulePrice(rule.key, rule.pipeline, rule.mode, chance, usual)


def _budgeted(statistics: LogStatistics) -> Iterator[tuple[str, str, Mode]]:
    """Key, pipeline and mode of the rules whose budget is their price."""
    for rule in statistics.learned_rules:
        yield rule.key, rule.pipeline, rule.policy.mode
    for (name, stage), bottleneck in statistics.bottleneck_rules.items():
        yield f"{bottleneck.kind}/{name}/{stage}", name, bottleneck.mode
    for source, silence in statistics.silence_rules.items():
        yield f"silence/{source}", "", silence.mode
