"""What would this policy have found? The same core as the live path, without Kafka and without a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.flow.intervals import Boundary, Interval, RuleState, advance, boundaries, intervals
from shared.flow.rules import Rule, Series
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.visits import Event, Visit, visits
from shared.policy import Policy


@dataclass
class Found:
    """Intervals by problem key, and the visits of every deal, as of an instant."""

    as_of: int
    problems: dict[str, list[Interval]]
    visits: list[tuple[str, Visit]]


def find(events: Iterable[Event], policy: Policy, as_of: int, stage_map: StageMap | None = None) -> Found:
    """Problem intervals = f(history, policy, stage map): takes in what is due at <= as_of."""
    judging = Ruleset(policy, stage_map)
    deals: dict[str, list[Event]] = {}
    for event in events:
        if event.key.time <= as_of:
            deals.setdefault(event.deal, []).append(event)
    stays = [(deal, visit) for deal in sorted(deals) for visit in visits(deals[deal], judging.places)]
    counts = _count(judging, (visit for _, visit in stays))
    problems = {rule.key: _judge(rule, counts[rule.series], as_of) for rule in judging.rules}
    return Found(as_of, problems, stays)


def _count(judging: Ruleset, stays: Iterable[Visit]) -> dict[Series, list[Boundary]]:
    counts: dict[Series, list[Boundary]] = {series: [] for series in judging.series}
    for visit in stays:
        for series, spans in judging.spans(visit):
            counts[series] += boundaries(spans)
    for found in counts.values():
        found.sort()
    return counts


def _judge(rule: Rule, found: list[Boundary], as_of: int) -> list[Interval]:
    state, changes = advance(rule, RuleState(), (b for b in found if b[0] <= as_of), as_of)
    return intervals(state, changes)
