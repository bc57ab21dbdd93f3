"""Two replicas: what both read from the database counts once, in every panel and every alert."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from services.cli.metrics_reference import metrics_of, registries
from shared.runtime.yaml_file import write_yaml
from tests.integration.deploy.test_observed import needs_prometheus, promql

_NAME = re.compile(r"\bandon_[a-z_]+")
MINUTES = 90
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "gaugehistogram": ("_bucket", "_gsum", "_gcount")}
# These compare replicas: tests/integration/deploy/rule_cases.py has their cases.
OF_ONE_REPLICA = {
    *(f"alert {name} ticket" for name in ("ReplicaCutOff", "ReplicaStuck", "DependencyDown", "ServiceStuck")),
    "record andon:slo:minute:bool {'slo': 'webhooks', 'counts': 'blocked'}",
}
# Labels that expressions select by; one series for each value.
LABELS = {
    "andon_tickets": ['kind="aging",state="open"', 'kind="wip",state="acknowledged"'],
    "andon_notifier_mails_total": ['reason="opened",result="refused"', 'reason="opened",result="unowned"'],
    "andon_intake_requests_total": ['source="hubspot",status="401"', 'source="hubspot",status="202"'],
    **{
        name: ['pipeline="new",stage="lead"']
        for name in (
            "andon_flow_deals",
            "andon_flow_oldest_age_seconds",
            "andon_flow_over_age_deals",
            "andon_stage_info",
        )
    },
    "andon_flow_limit": ['pipeline="new",stage="lead",kind="aging"', 'pipeline="new",stage="lead",kind="wip-high"'],
    "andon_consumer_gone_records_total": ['topic="pipeline.events"'],
}


def scopes() -> dict[str, tuple[str, str]]:
    """Whose each metric is and how to aggregate it, from the helps of all metrics."""
    found = {}
    for registry in registries().values():
        for one in metrics_of(registry):
            suffixes = SUFFIXES.get(one.kind, ("",))
            found |= {one.name + suffix: (one.whose, one.aggregate) for suffix in suffixes}
    return found


def series(name: str, labels: str, scope: tuple[str, str]) -> list[tuple[str, str]]:
    """The samples of one replica alone, named `solo_...`, and those of two replicas that come to the same."""
    every = f'job="andon",service="any",{labels}'.rstrip(",")
    is_counter = name.endswith(("_total", "_bucket", "_sum", "_count"))
    whole, half = (f"0+{n}x{MINUTES}" if is_counter else f"{n}x{MINUTES}" for n in (4096, 2048))
    idle = f"0x{MINUTES}"
    first, second = {
        ("the system", "max"): (whole, whole),
        ("a replica", "sum"): (half, half),
        ("a replica", "max"): (whole, idle),
        ("a replica", "min"): (idle, f"1x{MINUTES}"),
    }[scope]
    alone = idle if scope[1] == "min" else whole
    replicas = [(f'{name}{{{every},instance="{one}"}}', values) for one, values in (("a", first), ("b", second))]
    return [(f'solo_{name}{{{every},instance="a"}}', alone), *replicas]


def input_series() -> list[dict[str, str]]:
    found = []
    for name, scope in scopes().items():
        labels = ['le="1"', 'le="+Inf"'] if name.endswith("_bucket") else LABELS.get(name, ['source="hubspot"'])
        for one in labels:
            found += [{"series": s, "values": values} for s, values in series(name, one, scope)]
    return found


def same(expression: str) -> str:
    """1 where the expression has as many results for two replicas as for one, with the same labels and values."""
    solo = _NAME.sub(lambda name: f"solo_{name[0]}", expression)
    both, pairs = f"(count({expression}) or vector(0))", f"(count(({expression}) == ({solo})) or vector(0))"
    return f"({both} == bool (count({solo}) or vector(0))) * ({pairs} == bool {both})"


@needs_prometheus
def test_two_replicas_show_in_every_panel_and_alert_what_one_shows(tmp_path: Path) -> None:
    expressions = {
        name: text
        for name, text in promql().items()
        if _NAME.search(text) and name not in OF_ONE_REPLICA and not name.startswith("service:")
    }
    cases = [
        {"expr": same(text), "eval_time": "80m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for text in expressions.values()
    ]
    test = {"interval": "1m", "input_series": input_series(), "promql_expr_test": cases}
    (tmp_path / "replicas.yml").write_text(write_yaml({"evaluation_interval": "1m", "tests": [test]}))

    command = ["promtool", "test", "rules", str(tmp_path / "replicas.yml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
