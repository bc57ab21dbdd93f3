"""The deployed rules and Prometheus' configuration, with times divided by 15: a quarter of an hour lasts a minute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.runtime.yaml_file import read_yaml, write_yaml
from tests.support.alert_rules import RULES

FACTOR = 15
# Between two scrapes, and between two evaluations. Not divided: a busy machine does not answer within a second.
EVERY_SECONDS = 2
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"\[(\d+)([smhd])\]|offset (\d+)([smhd])")
# Bounds in seconds. Those of a minute or less stay: services need as long as ever to share out partitions.
_BOUND = re.compile(r"(?<![\w.\"])(\d{3,})(?![\w.\"])")


def duration(text: str) -> str:
    """`5m` as `20000ms`."""
    return f"{int(text[:-1]) * UNITS[text[-1]] * 1000 // FACTOR}ms"


def scaled(expression: str) -> str:
    """An expression over shorter ranges, with lower bounds."""

    def shorter(found: re.Match[str]) -> str:
        number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
        return found[0].replace(number + unit, duration(number + unit))

    return _RANGE.sub(shorter, _BOUND.sub(lambda found: str(int(found[1]) // FACTOR), expression))


def write_rules(folder: Path) -> list[str]:
    """Write the scaled rules into a folder; their files."""
    for path in RULES:
        _, document = read_yaml(path.read_text())
        groups = [_scaled_group(group) for group in document["groups"]]
        (folder / path.name).write_text(json.dumps({"groups": groups}))
    return [str(folder / path.name) for path in RULES]


def _scaled_group(group: Mapping[str, Any]) -> dict[str, Any]:
    rules = [_scaled_rule(rule) for rule in group["rules"]]
    every = {"interval": duration(group["interval"])} if "interval" in group else {}
    return {"name": group["name"], "rules": rules, **every}


def _scaled_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: duration(rule[name]) for name in ("for", "keep_firing_for") if name in rule}
    return {**rule, "expr": scaled(rule["expr"]), **times}


def write_configuration(
    folder: Path, targets: Mapping[str, Sequence[int]], exporter: int, alertmanager: int, port: int
) -> Path:
    """The deployed configuration for these ports. `targets`: of each service, one port for each replica."""
    _, document = read_yaml((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    every = {"scrape_interval": f"{EVERY_SECONDS}s", "evaluation_interval": f"{EVERY_SECONDS}s"}
    document["global"] = {**document["global"], **every}
    document["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [_address(alertmanager)]}]}]
    document["rule_files"] = write_rules(folder)
    jobs = {job["job_name"]: job for job in document["scrape_configs"]}
    jobs["andon"]["static_configs"] = [
        {"targets": [_address(one) for one in ports], "labels": {"service": service}}
        for service, ports in targets.items()
    ]
    document["scrape_configs"] = [
        jobs["andon"],
        {"job_name": "prometheus", "static_configs": [{"targets": [_address(port)]}]},
        {"job_name": "alertmanager", "static_configs": [{"targets": [_address(alertmanager)]}]},
        {"job_name": "exporters", "static_configs": [{"targets": [_address(exporter)]}]},
    ]
    path = folder / "prometheus.yml"
    path.write_text(write_yaml(document))
    return path


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


def good_minutes(now: float) -> Iterator[str]:
    """Six scaled hours without a fault, as OpenMetrics: windows are full, as on a server that has run for days."""
    step = UNITS["m"] / FACTOR
    yield "# TYPE andon:slo:minute:bool gauge"
    for slo in ("webhooks", "seen", "mailed"):
        for counts in ("blocked", "bad"):
            for number in range(6 * 60, 0, -1):
                yield f'andon:slo:minute:bool{{slo="{slo}",counts="{counts}"}} 0 {now - 10 - number * step:.3f}'
    yield "# EOF"
