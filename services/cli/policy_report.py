"""What `andon policy check` prints: the faults of a policy, or its pipelines and what they leave unwatched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.cli.console import OutputForm, counted, print_json, print_line, print_plain, stderr
from shared.policy import Mode, Pipeline, Policy, PolicyError


def print_faults(error: PolicyError) -> None:
    """As JSON."""
    faults = [{"line": fault.line or None, "path": fault.path, "text": fault.text} for fault in error.faults]
    print_json({"valid": False, "faults": faults})


def print_policy(policy: Policy, form: OutputForm) -> None:
    """One line for each pipeline, with warnings on standard error; or all of it as JSON."""
    warned = list(warnings(policy))
    if form is OutputForm.JSON:
        pipelines = {name: _record(pipeline) for name, pipeline in policy.pipelines.items()}
        print_json({"valid": True, "version": policy.digest, "pipelines": pipelines, "warnings": warned})
        return
    for name, pipeline in policy.pipelines.items():
        print_line(f"{name}: {_summary(pipeline)}")
    for text in warned:
        print_plain(stderr, f"warning: {text}")


def warnings(policy: Policy) -> Iterator[str]:
    """What is allowed but finds nothing."""
    for name, pipeline in policy.pipelines.items():
        if not pipeline.rules:
            yield f"pipeline {name} has no rules: no problem is ever found in it; add some under rules"
        elif all(rule.mode is Mode.OFF for rule in pipeline.rules):
            yield f"every rule of pipeline {name} is off: no problem is ever found in it"


def _summary(pipeline: Pipeline) -> str:
    stages = counted(len(pipeline.stages), "stage", "stages")
    rules = counted(len(pipeline.rules), "rule", "rules")
    modes = [f"{count} {mode.value}" for mode in (Mode.MONITOR, Mode.OFF) if (count := _count(pipeline, mode))]
    of_them = f" ({', '.join(modes)})" if modes else ""
    return f"{stages}, {rules}{of_them}, owner {pipeline.owner.mail}"


def _count(pipeline: Pipeline, mode: Mode) -> int:
    return sum(rule.mode is mode for rule in pipeline.rules)


def _record(pipeline: Pipeline) -> dict[str, Any]:
    modes = {mode.value: _count(pipeline, mode) for mode in Mode}
    return {"name": pipeline.name, "stages": len(pipeline.stages), "rules": modes, "owner": pipeline.owner.mail}
