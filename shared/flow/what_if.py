"""What would this policy have found? The same domain code as the live path, without Kafka and without a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.flow.intervals import Boundary, Interval, RuleState, advance, boundaries, intervals
from shared.flow.rules import Rule, Series
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import Event, Visit, visits
from shared.policy import Policy


@dataclass
class Found:
    """As of an instant: problem intervals by problem key, and the visits as (deal, visit)."""

    as_of: int
    problems: dict[str, list[Interval]]
    visits: list[tuple[str, Visit]]


def find(events: Iterable[Event], policy: Policy, as_of: int, stage_map: StageMap | None = None) -> Found:
    """Problem intervals = f(history, policy, stage map), with everything that happens or falls due by `as_of`."""
    ruleset, resolver = Ruleset(policy), StageResolver(policy, stage_map or StageMap())
    deals: dict[str, list[Event]] = {}
    for event in events:
        if event.key.time <= as_of:
            deals.setdefault(event.deal, []).append(event)
    found = [(deal, visit) for deal in sorted(deals) for visit in visits(deals[deal], resolver)]
    counts = _count(ruleset, (visit for _, visit in found))
    problems = {rule.key: _evaluate(rule, counts[rule.series], as_of) for rule in ruleset.rules}
    return Found(as_of, problems, found)


def _count(ruleset: Ruleset, found: Iterable[Visit]) -> dict[Series, list[Boundary]]:
    counts: dict[Series, list[Boundary]] = {series: [] for series in ruleset.series}
    for visit in found:
        for series, spans in ruleset.spans(visit):
            counts[series] += boundaries(spans)
    for changes in counts.values():
        changes.sort()
    return counts


def _evaluate(rule: Rule, changes: list[Boundary], as_of: int) -> list[Interval]:
    state, transitions = advance(rule, RuleState(), (b for b in changes if b[0] <= as_of), as_of)
    return intervals(state, transitions)
