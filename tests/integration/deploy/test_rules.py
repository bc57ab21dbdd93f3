"""Each alert fires above its bound and not below, in time, once for two replicas, without flapping, and ends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.deploy.rule_cases import CAUSE_CASES, SERVICES, RuleCase
from tests.integration.deploy.symptom_cases import SYMPTOM_CASES
from tests.integration.deploy.test_observed import needs_prometheus
from tests.support.alert_rules import RULES, alert_rules, recording_rules
from tests.support.promtool import PromtoolTest, check, run_promtool

CASES = CAUSE_CASES | SYMPTOM_CASES
# Fires always.
WATCHDOG = "Watchdog"


def test_every_rule_has_a_case() -> None:
    assert set(CASES) | {WATCHDOG} == {rule["alert"] for rule in alert_rules()}


@needs_prometheus
@pytest.mark.parametrize("alert", CASES)
def test_it_fires_in_time_does_not_flap_and_ends(alert: str, tmp_path: Path) -> None:
    """It flaps neither with a value that hovers, nor while a scrape fails or a process restarts."""
    cases = CASES[alert]
    robust = [case for case in cases if case.restarted is not None]
    tests = [
        *[in_time(alert, case) for case in cases],
        *[steady(alert, case, case.hovering(), at_least=0) for case in robust],
        *[steady(alert, case, case.restarting(), at_least=1) for case in robust],
    ]

    run_promtool(tests, [rules_of(alert, tmp_path)], tmp_path, cases[0].step)


@needs_prometheus
def test_without_any_series_only_missing_services_ring(tmp_path: Path) -> None:
    expected = {WATCHDOG: 1, "ServiceDown": len(SERVICES)}
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "1h",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in expected.items()],
    }

    run_promtool([{"promql_expr_test": [firing]}], RULES, tmp_path)


def rules_of(alert: str, folder: Path) -> Path:
    """A file of this alert's rules, and the recorded ones that they read: a day of all takes long."""
    severities = {case.labels.get("severity") for case in CASES[alert]}
    rules = [one for one in alert_rules() if one["alert"] == alert and {one["labels"]["severity"], None} & severities]
    path = folder / "rule.yml"
    path.write_text(json.dumps({"groups": [{"name": "andon", "rules": [*recorded_for(rules), *rules]}]}))
    return path


def recorded_for(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recording rules that these read, and those that these read, of the same promises, in their order."""
    promises = {None, *re.findall(r'slo="([a-z-]+)"', str(rules))}
    found: list[dict[str, Any]] = []
    for recorded in reversed(recording_rules()):
        read = re.compile(rf"{recorded['record']}\b")
        if recorded.get("labels", {}).get("slo") in promises and any(read.search(str(one)) for one in (*rules, *found)):
            found.insert(0, recorded)
    return found


def number_firing(alert: str, case: RuleCase) -> str:
    labels = "".join(f',{name}="{value}"' for name, value in case.labels.items())
    return f'(count(ALERTS{{alertname="{alert}",alertstate="firing"{labels}}}) or vector(0))'


def in_time(alert: str, case: RuleCase) -> PromtoolTest:
    """One alert at each minute where it must fire, none where it must not."""
    checks = [check(number_firing(alert, case), minute, int(fires)) for minute, fires in case.firing()]
    return {"interval": f"{case.step}m", "input_series": case.input_series(), "promql_expr_test": checks}


def steady(alert: str, case: RuleCase, series: Sequence[dict[str, str]], at_least: int) -> PromtoolTest:
    """It begins once, or, with `at_least` 0, at most once, and goes on."""
    length = max(case.part * (2 + at_least) - case.step * 5, case.step)
    changes = f"changes({number_firing(alert, case)}[{length}m:{case.step}m])"
    once = check(f"({changes} >= bool {at_least}) * ({changes} <= bool 1)", length, 1)
    return {"interval": f"{case.step}m", "input_series": list(series), "promql_expr_test": [once]}
