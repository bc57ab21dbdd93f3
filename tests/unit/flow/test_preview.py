"""A rule that is tried finds what the fold of all changes finds, however little of them it looks at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flow.intervals import RuleState, advance, decisive, intervals, marks_of
from shared.flow.preview import CountedDeal, StagePast, run_bottleneck, run_rule, tried_bottlenecks
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.crossings import DAY
from shared.flow.statistics.learned_limits import StageHistory
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit
from shared.policy import parse
from tests.support import histories
from tests.support.boundaries import boundaries
from tests.support.examples import examples

UNTIL = 40
SPANS = st.lists(
    st.tuples(st.integers(0, 45), st.one_of(st.none(), st.integers(1, 12))).map(
        lambda pair: (pair[0], None if pair[1] is None else pair[0] + pair[1])
    ),
    max_size=14,
)
RULES: list[dict[str, Any]] = [
    {"kind": "wip-high", "max": 1},
    {"kind": "wip-high", "max": 0, "hold": "3s", "clear_hold": "2s"},
    {"kind": "wip-low", "min": 2},
    {"kind": "wip-low", "min": 1, "hold": "2s", "clear_hold": "4s"},
]


def rule_of(fields: dict[str, Any]) -> Rule:
    return Ruleset(parse(json.dumps(histories.policy_text([fields])))).rules[0]


@pytest.mark.parametrize("fields", RULES)
@settings(max_examples=examples(400), deadline=None)
@given(SPANS)
def test_what_is_left_out_decides_nothing(fields: dict[str, Any], spans: list[tuple[int, int | None]]) -> None:
    rule, second = rule_of(fields), 1_000_000
    long = [(start * second, None if end is None else end * second) for start, end in spans]
    until = UNTIL * second
    whole = advance(rule, RuleState(), sorted(b for b in boundaries(long) if b[0] <= until), until)

    found = advance(rule, RuleState(), decisive(rule, marks_of(long, until)), until)

    assert intervals(*found) == intervals(*whole)


def test_deals_are_those_that_count_when_the_problem_opens() -> None:
    rule = rule_of({"kind": "aging", "limit": "2d", "count": 2})
    visits = [
        Visit("p", rule.stage, start * DAY, True, end and end * DAY) for start, end in ((0, 9), (1, 3), (2, None))
    ]
    past = StagePast(Weeks(0, "UTC"), 12 * DAY, ["a", "b", "c"], StageHistory(visits, [], rule.clock))

    run = run_rule(rule, past, since=0)

    assert [one.opened_at for one in run.intervals] == [4 * DAY]
    assert run.deals == {4 * DAY: [CountedDeal("a", 2 * DAY), CountedDeal("c", 4 * DAY)]}
    assert (run.chance.per_quarter, run.suggested) == (None, None)


def test_a_suggested_number_is_one_that_chance_seldom_opens() -> None:
    rule = rule_of({"kind": "wip-high", "max": 3})
    visits = [Visit("p", rule.stage, n * DAY, True, (n + 5) * DAY) for n in range(400)]
    past = StagePast(Weeks(0, "UTC"), 400 * DAY, ["d"] * 400, StageHistory(visits, [], rule.clock))

    number = run_rule(rule, past, since=0).suggested

    assert number is not None
    tried = rule_of({"kind": "wip-high", "max": number}), rule_of({"kind": "wip-high", "max": number - 1})
    rates = [run_rule(one, past, since=0).chance.per_quarter for one in tried]
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[0] <= 0.1 < rates[1]


def test_a_bottleneck_is_found_at_the_end_of_the_week_that_the_rule_finds_it_in() -> None:
    stages = [{"id": "lead"}, {"id": "won", "outcome": "won"}]
    owner = {"name": "O", "mail": "o@x.example"}
    rules = [{"kind": "bottleneck", "stage": "lead", "mode": "monitor"}]
    sales = {"name": "S", "owner": owner, "stages": stages, "rules": rules}
    pipeline = parse(json.dumps({"version": 1, "pipelines": {"sales": sales}})).pipelines["sales"]
    series: dict[Column, list[Value]] = {
        Column.ARRIVALS: [20, 19, 21] * 7 + [30] * 12,
        Column.DEPARTURES: [20, 19, 21] * 7 + [20] * 12,
        Column.WIP_END: [5, 6, 4] * 7 + [10 * week for week in range(1, 13)],
        Column.OPEN_AGE_MEAN: [3, 2, 1] * 7 + [4 * week for week in range(1, 13)],
    }
    weeks = Weeks(0, "UTC")
    # Week 0 is no point.
    values = {Chart("sales", "lead", column): [None, *some] for column, some in series.items()}
    [rule] = tried_bottlenecks("sales", pipeline)

    run = run_bottleneck(rule, ChartSegments(WeeklyMeasures(weeks, values), weeks, []))

    assert rule.key == "bottleneck/sales/lead"
    assert [(one.cleared_at, one.peak) for one in run.intervals] == [(None, 120)]
    # Points 0 to 19 are the baseline; the eighth after it is the first that can be asked.
    assert run.weeks == len(series[Column.WIP_END]) - 20 - 7
    assert run.intervals[0].opened_at >= weeks.end(28)
    assert run.chance.per_quarter == 0.1


def test_a_rule_on_bottlenecks_that_is_off_is_not_tried() -> None:
    text = histories.policy_text([{"kind": "bottleneck", "mode": "off"}])
    [(name, pipeline)] = parse(json.dumps(text)).pipelines.items()

    assert tried_bottlenecks(name, pipeline) == []
