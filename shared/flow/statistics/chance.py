"""How often each rule of a policy would open by chance alone, and what the stage itself says of its limit.

A `hold` is not taken into account: at most so often.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from shared.flow.known_visits import known_before
from shared.flow.rules import Aging, Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.crossings import Crossings, crossings_of
from shared.flow.statistics.learned_limits import COUNT_WINDOW, StageHistory, recent_stays, window_of
from shared.flow.statistics.survival import MIN_FINISHED, Survival
from shared.flow.statistics.watched import watches
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit
from shared.policy import Mode, Policy
from shared.policy.rule_checks import BOTTLENECK_BUDGET


@dataclass(frozen=True)
class Chance:
    """Expected openings in 91 days by chance alone; None where the log is too short to tell."""

    per_quarter: float | None

    def fields(self) -> dict[str, float | None]:
        """As it is printed."""
        return {"per_quarter": self.per_quarter}


@dataclass(frozen=True)
class CountChance(Chance):
    """Of a rule on a count. `usual`: the mean of the count. `exceed`: the share of visits expected to exceed the limit.

    `exceed` is None where a rule has no limit on time in stage, or too few visits are finished.
    """

    usual: float | None = None
    exceed: float | None = None

    def fields(self) -> dict[str, float | None]:
        return super().fields() | {"usual": self.usual, "exceed": self.exceed}


def is_usual(rule: Rule, chance: CountChance) -> bool:
    """Whether the stage is usually in the state that the rule calls a problem: it asks for more than is possible."""
    return chance.usual is not None and rule.breached(round(chance.usual))


def chances(
    policy: Policy,
    histories: Mapping[tuple[str, str], StageHistory],
    weeks: Weeks,
    as_of: int,
    sources: Collection[str] = (),
) -> dict[str, Chance]:
    """By problem key, of all rules that are not off.

    `histories`: of every open stage of the policy, by (pipeline, stage). `sources`: those with an event in the log.
    """
    ruleset, at = Ruleset(policy), weeks.start(weeks.of(as_of))
    found: dict[str, Chance] = {watch.key: Chance(float(watch.per_quarter)) for watch in watches(policy)}
    found |= {key: Chance(float(budget)) for key, budget in _budgets(ruleset, sources)}
    known = {path: past_year(histories[path], at) for path in {(rule.pipeline, rule.stage) for rule in ruleset.rules}}
    for rule in ruleset.rules:
        visits = known[rule.pipeline, rule.stage]
        found[rule.key] = chance_of(rule, rule_crossings(rule, visits, weeks.first_event, at), visits, at)
    return found


def past_year(history: StageHistory, at: int) -> list[Visit]:
    """The visits that chances as of an instant rest on: those open in the year before it, as events before it tell."""
    edge = at - COUNT_WINDOW
    visits = [visit for visit in history.visits if visit.left is None or visit.left > edge]
    return known_before(visits, history.withdrawn, at)


def count_chance(rule: Rule, history: StageHistory, first_event: int, at: int) -> CountChance:
    """Of a rule on a count, as of the start of a week `at`: from what events before it tell."""
    known = past_year(history, at)
    return chance_of(rule, rule_crossings(rule, known, first_event, at), known, at)


def rule_crossings(rule: Rule, known: Collection[Visit], first_event: int, at: int) -> Crossings | None:
    """The count of a rule over the past year; `known`: see `past_year`. None: the log is too short."""
    window = window_of(first_event, at)
    if window is None:
        return None
    return crossings_of(chain.from_iterable(map(rule.spans, known)), at - window, at)


def chance_of(rule: Rule, seen: Crossings | None, known: Collection[Visit], at: int) -> CountChance:
    """What `rule_crossings` and the visits say."""
    if seen is None:
        return CountChance(None)
    return CountChance(seen.model.openings(rule.crossed), float(seen.mean), _exceeding(rule, known, at))


def _exceeding(rule: Rule, known: Collection[Visit], at: int) -> float | None:
    """The share of visits that are expected to exceed the limit of an `aging` rule."""
    if not isinstance(rule, Aging) or rule.limit is None:
        return None
    finished, ages = recent_stays(known, rule.clock, at)
    return float(Survival(finished, ages).exceeding(rule.limit)) if len(finished) >= MIN_FINISHED else None


def _budgets(ruleset: Ruleset, sources: Collection[str]) -> Iterator[tuple[str, Fraction]]:
    """By problem key, the rules whose budget says how often they open by chance."""
    for learned in ruleset.learned_rules.values():
        yield learned.key, learned.policy.budget
    for name, pipeline in ruleset.policy.pipelines.items():
        for stage, bottleneck in pipeline.bottleneck_rules.items():
            if bottleneck.mode is not Mode.OFF:
                yield f"{bottleneck.kind}/{name}/{stage}", BOTTLENECK_BUDGET
    for source in sources:
        silence = ruleset.policy.silence_rule(source)
        if silence is not None and silence.mode is not Mode.OFF:
            yield f"silence/{source}", silence.budget
