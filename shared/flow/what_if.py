"""What would this policy have found? The same domain code as the live path, without Kafka and without a database."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from shared.flow.coverage import Coverage, apply_covered
from shared.flow.fold import unique
from shared.flow.intervals import Interval, RuleState, advance, decisive, intervals, marks_of
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.findings import ProblemFinding
from shared.flow.statistics.log_statistics import FoldedDeal, LogHistory, LogStatistics
from shared.flow.statistics.measures import facts_of
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import DealState, Event, Visit
from shared.policy import Policy


@dataclass
class Found:
    """As of an instant: the intervals of rules on counts by problem key, the deals, and what statistics say of them.

    `coverage`: which events the policy can judge.
    """

    as_of: int
    counted: Mapping[str, Sequence[Interval]]
    deals: Sequence[FoldedDeal]
    ruleset: Ruleset
    statistics: LogStatistics
    coverage: Coverage

    @cached_property
    def visits(self) -> list[tuple[str, Visit]]:
        """All visits as (deal, visit), deal by deal."""
        return [(one.deal, visit) for one in self.deals for visit in one.facts.visits]

    @cached_property
    def problems(self) -> dict[str, list[Interval]]:
        """The intervals of every rule, by problem key."""
        by_statistics = {key: [one.interval for one in some] for key, some in self.statistics.problems.items()}
        return {key: list(some) for key, some in self.counted.items()} | by_statistics

    @cached_property
    def findings(self) -> dict[str, list[ProblemFinding]]:
        """As `problems`, each interval with its cause class and what else is known of it."""
        counted = {
            rule.key: self.statistics.count_findings(rule, self.counted[rule.key]) for rule in self.ruleset.rules
        }
        return counted | self.statistics.problems


def find(
    events: Iterable[Event],
    policy: Policy,
    as_of: int,
    stage_map: StageMap | None = None,
    receipts: Mapping[str, Sequence[int]] | None = None,
    relocks: Sequence[Relock] = (),
) -> Found:
    """Problem intervals = f(history, policy, stage map, relocks), with all that happens or falls due by `as_of`.

    `receipts`: when sources were heard, in order; without them no source is called silent.
    """
    ruleset, resolver = Ruleset(policy), StageResolver(policy, stage_map or StageMap())
    covered = Coverage()
    deals = list(_folded(_histories(events, as_of), ruleset, resolver, covered))
    first = min((one.first_event for one in deals), default=as_of)
    heard = {source: some[: bisect_right(some, as_of)] for source, some in (receipts or {}).items()}
    history = LogHistory(Weeks(first, policy.timezone), as_of, deals, {s: some for s, some in heard.items() if some})
    statistics = LogStatistics(history, policy, relocks)
    counted = {rule.key: _evaluate(rule, statistics.visits_of(rule), as_of) for rule in ruleset.rules}
    return Found(as_of, counted, deals, ruleset, statistics, covered)


def _histories(events: Iterable[Event], as_of: int) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        deal, key, _ = event
        if key.time > as_of:
            continue
        if (history := found.get(deal)) is None:
            found[deal] = [event]
        else:
            history.append(event)
    return found


def _folded(
    histories: dict[str, list[Event]], ruleset: Ruleset, resolver: StageResolver, covered: Coverage
) -> Iterator[FoldedDeal]:
    """Fold deal by deal; takes them out of `histories`. What the policy can judge is added to `covered`."""
    zone = ZoneInfo(ruleset.policy.timezone)
    for deal in sorted(histories):
        history, state = unique(histories.pop(deal)), DealState()
        apply_covered(state, history, ruleset, resolver, covered)
        yield FoldedDeal(deal, history[0].key.time, facts_of(state, history, zone), state.withdrawn)


def _evaluate(rule: Rule, visits: Iterable[Visit], as_of: int) -> list[Interval]:
    """`visits`: all of the rule's stage."""
    spans = [span for visit in visits for span in rule.spans(visit)]
    return intervals(*advance(rule, RuleState(), decisive(rule, marks_of(spans, as_of)), as_of))
