"""Each alert rule fires above its bound and not below, in time, once for two replicas, and ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shared.runtime.yaml_file import write_yaml
from tests.integration.deploy.rule_cases import CASES, RuleCase
from tests.integration.deploy.test_observed import alert_rules, needs_prometheus

# Fires always.
WATCHDOG = "Watchdog"


def test_every_rule_has_a_case() -> None:
    assert set(CASES) | {WATCHDOG} == {rule["alert"] for rule in alert_rules()}


@needs_prometheus
@pytest.mark.parametrize("alert", CASES)
def test_it_fires_in_time_and_ends(alert: str, tmp_path: Path) -> None:
    (step,) = {case.step for case in CASES[alert]}
    tests = [promtool_test(alert, case) for case in CASES[alert]]
    # Only this rule: a day of all of them takes long.
    (rule,) = (rule for rule in alert_rules() if rule["alert"] == alert)
    (tmp_path / "rule.yml").write_text(write_yaml({"groups": [{"name": "andon", "rules": [rule]}]}))
    document = {"rule_files": ["rule.yml"], "evaluation_interval": f"{step}m", "tests": tests}
    (tmp_path / "case.yml").write_text(write_yaml(document))

    ended = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "case.yml")], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def promtool_test(alert: str, case: RuleCase) -> dict[str, object]:
    """One alert at each minute where it must fire, none where it must not."""
    labels = "".join(f',{name}="{value}"' for name, value in case.labels.items())
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"{labels}}}'
    checks = [
        {
            "expr": f"count({firing}) or vector(0)",
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": "{}", "value": int(fires)}],
        }
        for minute, fires in case.firing()
    ]
    return {"interval": f"{case.step}m", "input_series": case.input_series(), "promql_expr_test": checks}
