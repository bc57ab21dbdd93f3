"""What the canary's metrics show from the start, and after each kind of outcome."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from services.canary.metrics import RESULTS, CanaryMetrics
from services.canary.run import CanaryStep
from services.canary.way import CanaryOutcome

PASSED = CanaryOutcome(None, dict.fromkeys(CanaryStep, 0.5))
STUCK = CanaryOutcome(CanaryStep.TICKET, {CanaryStep.WEBHOOK: 0.1, CanaryStep.EVENT: 0.2, CanaryStep.PROBLEM: 0.3})
DISTURBED = CanaryOutcome(CanaryStep.MAIL, {CanaryStep.WEBHOOK: 9.0}, is_disturbed=True)
LAST = "andon_canary_last_success_timestamp_seconds"


def shown(registry: CollectorRegistry, name: str, label: str, values: list[str]) -> list[float | None]:
    return [registry.get_sample_value(name, {label: value}) for value in values]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> CanaryMetrics:
    return CanaryMetrics(registry)


def steps(registry: CollectorRegistry, name: str) -> list[float | None]:
    return shown(registry, name, "step", [step.value for step in CanaryStep])


def test_every_label_exists_from_the_start(registry: CollectorRegistry, metrics: CanaryMetrics) -> None:
    assert steps(registry, "andon_canary_stuck") == steps(registry, "andon_canary_step_seconds") == [0.0] * 5
    assert shown(registry, "andon_canary_runs_total", "result", list(RESULTS)) == [0.0] * 3
    assert registry.get_sample_value(LAST) == 0


def test_a_run_that_is_stuck_shows_where_until_one_passes(registry: CollectorRegistry, metrics: CanaryMetrics) -> None:
    metrics.show(STUCK)
    assert steps(registry, "andon_canary_stuck") == [0, 0, 0, 1, 0]
    assert steps(registry, "andon_canary_step_seconds") == [0.1, 0.2, 0.3, 0, 0]
    assert registry.get_sample_value(LAST) == 0

    metrics.show(PASSED)
    assert steps(registry, "andon_canary_stuck") == [0] * 5
    assert steps(registry, "andon_canary_step_seconds") == [0.5] * 5
    assert (registry.get_sample_value(LAST) or 0) > 0


def test_a_run_that_was_disturbed_changes_nothing_but_its_count(
    registry: CollectorRegistry, metrics: CanaryMetrics
) -> None:
    metrics.show(STUCK)
    metrics.show(DISTURBED)

    assert steps(registry, "andon_canary_stuck") == [0, 0, 0, 1, 0]
    assert steps(registry, "andon_canary_step_seconds") == [0.1, 0.2, 0.3, 0, 0]
    assert shown(registry, "andon_canary_runs_total", "result", list(RESULTS)) == [0, 1, 1]
