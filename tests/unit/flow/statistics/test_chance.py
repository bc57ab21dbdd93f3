"""How often chance opens each rule; levels of rules are asked at their neighbours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.flow.ruleset import Ruleset
from shared.flow.statistics.chance import CountChance, chances, is_usual
from shared.flow.statistics.crossings import DAY, crossings_of
from shared.flow.statistics.learned_limits import StageHistory
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit, WithdrawnVisit
from shared.policy import parse
from shared.runtime.instants import micros
from tests.support.histories import policy_text

START = micros(datetime(2025, 1, 1, tzinfo=UTC))
HOUR = DAY // 24
RULES: list[dict[str, Any]] = [
    {"kind": "aging", "limit": "2d", "count": 1},
    {"kind": "stalled", "limit": "2d", "count": 3},
    {"kind": "wip-high", "max": 3},
    {"kind": "wip-low", "min": 2},
]
# One visit each half day, for one to five days.
VISITS = [Visit("p", "a", START + n * 12 * HOUR, True, START + (n * 12 + 24 + n * 37 % 96) * HOUR) for n in range(500)]


def found(days: int, *, rules: list[dict[str, Any]] = RULES, withdrawn: tuple[WithdrawnVisit, ...] = ()) -> Any:
    policy = parse(json.dumps(policy_text(rules)))
    ruleset = Ruleset(policy)
    histories = {stage: StageHistory([], [], ruleset.clocks.of(*stage)) for stage in ruleset.stages}
    histories["p", "a"] = histories["p", "a"]._replace(visits=VISITS, withdrawn=withdrawn)
    return chances(policy, histories, Weeks(START, "UTC"), START + days * DAY)


def test_each_rule_is_crossed_at_its_own_number() -> None:
    at = Weeks(START, "UTC").start(Weeks(START, "UTC").of(START + 200 * DAY))
    known = [visit for visit in VISITS if visit.entered < at]
    over = [(visit.entered + 2 * DAY, visit.left) for visit in known]
    wip = crossings_of([(visit.entered, visit.left) for visit in known], START, at).model
    aged = crossings_of([span for span in over if span[1] is not None and span[0] < span[1]], START, at).model
    got = found(200)

    assert got["wip-high/p/a"].per_quarter == wip.openings(4)
    assert got["wip-low/p/a"].per_quarter == wip.openings(2)
    assert got["aging/p/a"].per_quarter == aged.openings(1)
    assert got["stalled/p/a"].per_quarter == aged.openings(3)
    assert got["aging/p/a"].usual == float(aged.mean)


def test_only_a_limit_on_time_in_stage_has_a_share_that_exceeds_it() -> None:
    got = found(200)

    assert 0.6 < got["aging/p/a"].exceed < 0.9
    assert [got[key].exceed for key in ("stalled/p/a", "wip-high/p/a", "wip-low/p/a")] == [None] * 3


@pytest.mark.parametrize("days", [0, 3, 179])
def test_a_young_log_tells_nothing(days: int) -> None:
    assert {chance.fields()["per_quarter"] for chance in found(days).values()} == {None}


def test_the_week_that_begins_180_days_after_the_first_event_tells() -> None:
    assert None not in {chance.fields()["per_quarter"] for chance in found(180).values()}


def test_the_budget_is_the_chance_of_rules_that_have_one() -> None:
    rules = [{"kind": "aging-learned", "budget": 0.25}, {"kind": "bottleneck"}, {"kind": "shift"}]
    policy = policy_text([])
    policy["pipelines"]["p"]["rules"] = rules
    policy["pipelines"]["p"]["rules"].append({"kind": "bottleneck", "stage": "b", "mode": "off"})
    policy["silence"] = [{"budget": 0.5}, {"source": "quiet", "mode": "off"}]
    got = chances(parse(json.dumps(policy)), {}, Weeks(START, "UTC"), START, ["crm", "quiet"])
    learned = {key: chance.per_quarter for key, chance in got.items() if not key.startswith("shift")}

    assert learned == {"aging-learned/p/a": 0.25, "aging-learned/p/b": 0.25, "bottleneck/p/a": 0.1, "silence/crm": 0.5}
    assert got["aging-learned/p/a"].fields() == {"per_quarter": 0.25}
    # 1 less what is booked, for six charts.
    assert got["shift/p//throughput"].per_quarter == pytest.approx(0.4 / 6)


def test_a_visit_that_was_taken_back_before_the_week_counts_for_nothing() -> None:
    taken = Visit("p", "a", START, True)
    early, late = WithdrawnVisit(taken, START + DAY), WithdrawnVisit(taken, START + 900 * DAY)

    assert found(200, withdrawn=(early,)) == found(200)
    assert found(200, withdrawn=(late,)) != found(200)


@pytest.mark.parametrize(("usual", "expected"), [(None, False), (3.4, False), (3.5, True), (9.0, True)])
def test_a_count_that_is_usually_breached_is_a_state(usual: float | None, expected: bool) -> None:
    rule = Ruleset(parse(json.dumps(policy_text([{"kind": "aging", "limit": "2d", "count": 4}])))).rules[0]

    assert is_usual(rule, CountChance(0.1, usual)) is expected
