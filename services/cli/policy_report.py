"""What `andon policy check` prints: the faults of a policy, or its pipelines and what they leave unwatched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.cli.console import OutputForm, counted, message, print_json, print_line
from services.cli.price_text import price_lines, price_record
from services.cli.what_if import WhatIfAnswer
from services.cli.what_if_sentences import RuleSentences
from services.cli.what_if_text import judged_line, unjudged_lines
from shared.policy import Mode, Pipeline, Policy, PolicyError, StageTitles


def print_faults(error: PolicyError) -> None:
    """As JSON."""
    faults = [{"line": fault.line or None, "path": fault.path, "text": fault.text} for fault in error.faults]
    print_json({"valid": False, "faults": faults})


def print_policy(policy: Policy, form: OutputForm, against: WhatIfAnswer | None) -> None:
    """One line for each pipeline, with warnings on standard error; or all of it as JSON.

    `against`: what the policy finds in a log, for the price of each rule.
    """
    warned = list(warnings(policy))
    if form is OutputForm.JSON:
        pipelines = {name: _record(pipeline) for name, pipeline in policy.pipelines.items()}
        record = {"valid": True, "version": policy.digest, "pipelines": pipelines, "warnings": warned}
        print_json(record if against is None else record | {"against": price_record(against.found, policy)})
    else:
        for name, pipeline in policy.pipelines.items():
            print_line(f"{name}: {_summary(pipeline)}")
        for line in [] if against is None else _prices(against):
            print_line(line)
    for text in warned if form is OutputForm.TEXT else []:
        message(f"warning: {text}")
    for line in [] if against is None else unjudged_lines(against.coverage, policy, StageTitles.of(policy)):
        message(line)


def _prices(against: WhatIfAnswer) -> Iterator[str]:
    policy, found = against.policy, against.found
    sentences = RuleSentences(found, against.coverage, policy, StageTitles.of(policy))
    yield from ("", judged_line(against.coverage, sentences, policy, found))
    yield from price_lines(found, policy, list(sentences.rules()))


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
