"""What each rule costs by chance, and the sum beside what the owner accepts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.statistics.prices import PipelinePrice, RulePrice, pipeline_prices, rule_prices
from shared.flow.what_if import find
from shared.policy import Mode, Policy, parse

DAY = 86_400_000_000


def policy(*rules: str, false_alarms: str = "1") -> Policy:
    return parse(
        "version: 1\npipelines:\n  p:\n    name: P\n    owner: {name: O, mail: o@x.example}\n"
        f"    false_alarms: {false_alarms}\n    stages: [{{id: a}}, {{id: b}}, {{id: w, outcome: won}}]\n"
        "    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)
    )


def events(days: int) -> Iterator[DealEvent]:
    """A deal a day, ten days in each stage."""
    for number in range(days):
        for step, (stage, day) in enumerate((("a", 0), ("b", 10), ("w", 20))):
            at = number + day
            yield DealEvent.model_validate(
                {
                    "specversion": "1.0",
                    "id": f"{number}-{step}",
                    "source": "crm",
                    "type": "andon.deal.moved" if step else "andon.deal.created",
                    "subject": f"crm:{number}",
                    "time": f"{2025 + at // 336}-{at // 28 % 12 + 1:02}-{at % 28 + 1:02}T12:00:00Z",
                    "data": {"pipeline": "p", "stage": stage},
                }
            )


def prices_of(rules: Policy, days: int = 300) -> dict[str, RulePrice]:
    log = [event_of(event) for event in events(days)]
    found = find(log, rules, max(event.key.time for event in log))
    return rule_prices(rules, found.statistics)


def test_every_rule_that_is_not_off_has_a_price() -> None:
    rules = policy(
        "{kind: aging, stage: a, limit: 12d}",
        "{kind: wip-high, stage: a, max: 20}",
        "{kind: wip-low, stage: b, min: 2, mode: off}",
        "{kind: shift}",
        "{kind: rework, mode: monitor}",
        "{kind: aging-learned, stage: b}",
        "{kind: bottleneck, stage: a}",
    )

    found = prices_of(rules)

    assert "wip-low/p/b" not in found
    assert {key.split("/")[0] for key in found} == {
        "aging",
        "wip-high",
        "shift",
        "rework",
        "aging-learned",
        "bottleneck",
    }
    assert {price.mode for key, price in found.items() if key.startswith("rework")} == {Mode.MONITOR}


def test_statistical_rules_cost_what_the_owner_accepts() -> None:
    rules = policy(
        "{kind: shift}", "{kind: slipping}", "{kind: aging-learned}", "{kind: bottleneck}", false_alarms="1.5"
    )

    total = pipeline_prices(rules, prices_of(rules).values())["p"]

    assert total.by_chance == pytest.approx(1.5, abs=1e-9)
    assert not total.is_exceeded
    assert total.unpriced == []


def test_monitored_rules_cost_no_ticket() -> None:
    rules = policy("{kind: bottleneck, mode: monitor}", "{kind: aging-learned, stage: a, budget: 0.25}")

    assert pipeline_prices(rules, prices_of(rules).values())["p"].by_chance == 0.25


def test_a_rule_that_asks_for_more_than_the_process_can_do() -> None:
    rules = policy("{kind: wip-high, stage: a, max: 5}", "{kind: wip-high, stage: b, max: 50}")

    found = prices_of(rules)

    assert found["wip-high/p/a"].is_usual
    assert not found["wip-high/p/b"].is_usual


def test_a_log_that_is_too_short_is_counted_as_unknown() -> None:
    rules = policy("{kind: wip-high, stage: a, max: 5}", "{kind: bottleneck, stage: a}")

    found = prices_of(rules, days=60)

    assert found["wip-high/p/a"].chance.per_quarter is None
    assert not found["wip-high/p/a"].is_usual
    total = pipeline_prices(rules, found.values())["p"]
    assert (total.by_chance, total.unpriced) == (0.1, ["wip-high/p/a"])


@pytest.mark.parametrize(
    ("rules", "by_chance", "unpriced"),
    [
        (["{kind: wip-high, stage: a, max: 5}", "{kind: aging, stage: b, limit: 3d}"], None, 2),
        (["{kind: wip-high, stage: a, max: 5, mode: monitor}"], 0, 0),
        (['{kind: shift, mode: "off"}'], 0, 0),
    ],
)
def test_there_is_no_sum_where_no_rule_has_a_price(rules: list[str], by_chance: float | None, unpriced: int) -> None:
    asked = policy(*rules)

    total = pipeline_prices(asked, prices_of(asked, days=60).values())["p"]

    assert (total.by_chance, len(total.unpriced), total.is_exceeded) == (by_chance, unpriced, False)
    assert total.fields() == {"false_alarms": 1.0, "by_chance": by_chance, "unknown": unpriced}


def test_a_sum_that_only_rounding_makes_greater_is_no_excess() -> None:
    rules = policy("{kind: shift}")

    assert not PipelinePrice(rules.pipelines["p"].false_alarms, sum([0.1] * 10)).is_exceeded
    assert PipelinePrice(rules.pipelines["p"].false_alarms, 1.01).is_exceeded
