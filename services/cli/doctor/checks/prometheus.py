"""Whether Prometheus has loaded Andon's rules, and reaches the services. Only where its address is given."""

from __future__ import annotations

from typing import Any

import orjson

from services.cli.doctor.answers import Answer, ask_all
from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look

# An alert of deploy/prometheus/rules that always fires.
WATCHDOG = "Watchdog"


async def _run(site: Site) -> list[CheckFinding]:
    if not site.prometheus:
        return []
    rules, targets = [
        (await ask_all({"prometheus": site.prometheus}, path))["prometheus"]
        for path in ("/api/v1/rules?type=alert", "/api/v1/targets?state=active")
    ]
    if rules.status != 200 or targets.status != 200:
        said = rules.text if rules.status == 0 else f"status {rules.status}"
        return [bad("Prometheus", f"no answer at {site.prometheus}: {said}", "start it, or correct --prometheus")]
    return [_rules(_data(rules)), *_targets(_data(targets))]


def _data(answer: Answer) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(answer.text)["data"]
    return data


def _rules(data: dict[str, Any]) -> CheckFinding:
    rules = [rule for group in data["groups"] for rule in group["rules"]]
    faulty = [rule["name"] for rule in rules if rule.get("health") == "err"]
    if not any(rule["name"] == WATCHDOG for rule in rules):
        return bad("alert rules", "Andon's are not loaded", "mount deploy/prometheus/rules, and reload Prometheus")
    if faulty:
        return bad("alert rules", f"cannot be evaluated: {', '.join(faulty)}", "see the page Rules of Prometheus")
    firing = sorted({r["name"] for r in rules if r.get("state") == "firing" and r["name"] != WATCHDOG})
    if firing:
        return look("alert rules", f"firing: {', '.join(firing)}", "see docs/operator/alerts.md")
    return good("alert rules", f"{len(rules)} are loaded, none fires")


def _targets(data: dict[str, Any]) -> list[CheckFinding]:
    down = [target["labels"].get("instance", "?") for target in data["activeTargets"] if target["health"] == "down"]
    todo = "start it, or correct deploy/prometheus/targets"
    return [bad("Prometheus", f"does not reach {instance}", todo) for instance in sorted(down)]


CHECK = Check("prometheus", _run)
