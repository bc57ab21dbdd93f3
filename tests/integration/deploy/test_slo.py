"""The promises: which minutes are blocked, and the numbers of slo.test.yml, which were computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

from services.cli.metrics_reference import registries
from tests.integration.deploy.symptom_cases import BLOCKED, UP, BlockedCase
from tests.integration.deploy.test_observed import needs_prometheus
from tests.support.alert_rules import RULES, recording_rules
from tests.support.promtool import PromtoolTest, check, run_promtool, run_promtool_file

# Histogram and bucket that holds the bound of each promise, as its rule names it.
BOUNDS = {
    ("andon_intake_genuine_seconds", "1.0"),
    ("andon_event_seen_seconds", "60.0"),
    ("andon_problem_to_mail_seconds", "300.0"),
}
PART = 10


@needs_prometheus
def test_a_minute_is_blocked_while_nobody_can_be_served(tmp_path: Path) -> None:
    rules = [rule for rule in recording_rules() if rule["record"] == "andon:slo:minute:bool"]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "andon", "rules": rules}]}))

    run_promtool([blocked(case) for case in BLOCKED], [tmp_path / "rules.yml"], tmp_path)


def blocked(case: BlockedCase) -> PromtoolTest:
    """Below the bound and above it, twice. Prometheus takes the last value for five minutes."""
    values = " ".join(f"{one}x{PART}" if one == "_" else f"{one}x{PART - 1}" for one in (case.below, case.above) * 2)
    others = {name: "1" for name in UP if name not in case.series} | dict(case.steady)
    every = dict.fromkeys(case.series, values) | {name: f"{one}x{4 * PART}" for name, one in others.items()}
    series = [{"series": name, "values": one} for name, one in every.items()]
    minute = f'sum(andon:slo:minute:bool{{slo="{case.slo}",counts="blocked"}})'
    checks = [check(minute, (n + 1) * PART - 1, n % 2) for n in range(4)]
    return {"interval": "1m", "input_series": series, "promql_expr_test": checks}


@needs_prometheus
def test_the_numbers_are_those_computed_by_hand(tmp_path: Path) -> None:
    rules = ", ".join(str(path) for path in RULES if path.stem == "slo")
    (tmp_path / "slo.test.yml").write_text((Path(__file__).parent / "slo.test.yml").read_text().replace("RULES", rules))

    run_promtool_file(tmp_path / "slo.test.yml")


def test_histograms_have_a_bucket_at_the_bound() -> None:
    found = {
        (family.name, sample.labels["le"])
        for registry in registries().values()
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }

    assert found >= BOUNDS
    rules = "".join(path.read_text() for path in RULES)
    for name, bound in BOUNDS:
        assert f'le="{bound}"' in rules.split(f"{name}_bucket", 1)[1].partition("}")[0]
