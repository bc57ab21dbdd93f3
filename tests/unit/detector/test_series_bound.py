"""How many series a detector has: bounded, however many stages a policy has and however bad it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.detector.metrics import DetectorMetrics
from services.detector.publish.gauges import (
    STAGES_SHOWN,
    OpenProblem,
    StageNow,
    describe_stages,
    show_problems,
    show_stages,
)
from shared.flow.ruleset import Ruleset
from shared.policy import parse
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import LoopReady, Progress
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import new_registry
from tests.support import histories

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = ("aging", "stalled", "wip-high", "wip-low", "aging-learned")
RULES = [
    {"kind": "aging", "limit": "2h"},
    {"kind": "stalled", "limit": "2h"},
    {"kind": "wip-high", "max": 7},
    {"kind": "wip-low", "min": 1},
]


def ruleset(pipelines: int, stages: int) -> Ruleset:
    """A policy of so many pipelines of so many stages, each with every rule on counts."""
    text, names = histories.policy_text([]), [f"s{n}" for n in range(stages)]
    text["pipelines"]["p"]["stages"] = [{"id": name} for name in names]
    text["pipelines"]["p"]["rules"] = [{"stage": name, **rule} for name in names for rule in RULES]
    policy = parse(json.dumps(text))
    # To read such a policy takes seconds; its pipelines are alike.
    return Ruleset(policy.model_copy(update={"pipelines": {f"p{n}": policy.pipelines["p"] for n in range(pipelines)}}))


def shown(rules: Ruleset) -> CollectorRegistry:
    """The metrics of a detector where every stage has deals and every rule an open problem."""
    registry = new_registry("")
    metrics = DetectorMetrics(registry)
    describe_stages(rules, metrics)
    show_stages(rules, metrics, {stage: StageNow(3, NOW) for stage in [*rules.stages, ("x", "unknown")]}, NOW)
    show_problems(rules, metrics, [OpenProblem(kind, "active", *one, NOW) for kind in KINDS for one in rules.stages])
    for rule in rules.rules[: 4 * STAGES_SHOWN]:
        if rule.kind == "aging":
            metrics.over_age.set(1, rule.pipeline, rule.stage)
    ConsumerMetrics.of_topics(registry, {name: name for name in ("events", "stages", "relocks", "policy")})
    OutboxMetrics(registry)
    LoopDelay(registry)
    registry.register(LoopReady(Progress()))
    Dependencies({"Kafka": ping, "Postgres": ping}, registry)
    return registry


async def ping() -> None:
    """A server that answers."""


def count(registry: CollectorRegistry) -> int:
    return sum(len(family.samples) for family in registry.collect())


@pytest.mark.parametrize(("pipelines", "stages", "most"), [(20, 10, 5_000), (1_000, 20, 80_000)])
def test_the_number_of_series_is_bounded(pipelines: int, stages: int, most: int) -> None:
    rules = ruleset(pipelines, stages)
    assert len(rules.stages) == pipelines * stages

    assert count(shown(rules)) < most


def test_deals_of_stages_that_are_not_shown_are_added_up() -> None:
    rules = ruleset(300, 20)
    registry = shown(rules)

    other = registry.get_sample_value("andon_flow_deals", {"pipeline": "other", "stage": "other"})
    assert other == 3 * (len(rules.stages) - STAGES_SHOWN + 1)
